"""One bar chart as inline SVG.

The drawing has no fixed width: places along the axis are percentages, heights and letters are
pixels. So the same chart is as readable on a telephone as on a desk, and nothing is scaled. Colours
come from page.css by class, for light and dark.
"""

import html
import math
from dataclasses import dataclass

from report import figure, interval_of_median

LOGARITHMIC_FROM = 20  # the largest median divided by the smallest
TICKS_MAX = 5
NAME_CHARACTERS_MAX = 30  # beside its figure on a telephone; the table has the whole name

# Heights in pixels.
TARGET_LANE = 20
NAME_LINE = 18
BAR = 12
DOT_LANE = 10
GAP = 9
AXIS = 22


@dataclass(frozen=True)
class Bar:
    """One contender's answer."""

    name: str
    kind: str  # heddle, peer or floor
    samples: list[float]
    median: float

    @property
    def interval(self):
        """The 95 % interval of the median, or nothing where one round cannot tell."""
        return interval_of_median(self.samples) if len(self.samples) > 1 else None


class Scale:
    """From a figure to its place, in percent of the width."""

    def __init__(self, medians, others):
        """The axis holds the medians and the `others` (ends of intervals, the target)."""
        positive = [value for value in medians if value > 0]
        top = max([*medians, *others, 0])
        self.logarithmic = bool(positive) and max(positive) > LOGARITHMIC_FROM * min(positive)
        self.low, self.high = 0.0, top * 1.04 if top > 0 else 1.0
        if self.logarithmic:
            # The shortest bar keeps a third of a decade.
            self.low = min(positive) / 2
            self.high = top * 1.2

    def place(self, value):
        """Between 0 and 100, also for what lies outside."""
        if self.logarithmic:
            part = (math.log(value / self.low) / math.log(self.high / self.low)
                    if value > 0 else 0.0)
        else:
            part = value / self.high
        return 100 * min(max(part, 0.0), 1.0)

    def ticks(self):
        """The figures written at the axis."""
        if not self.logarithmic:
            step = nice_step(self.high / TICKS_MAX)
            return [step * number for number in range(int(self.high / step) + 1)]
        first = math.ceil(math.log10(self.low))
        last = math.floor(math.log10(self.high))
        every = math.ceil((last - first + 1) / TICKS_MAX)
        return [10.0 ** power for power in range(first, last + 1, every)]


def nice_step(least):
    """1, 2 or 5 times a power of ten, at least this."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(times * power for times in (1, 2, 5, 10) if times * power >= least * 0.999)


def short(value):
    """A figure at the axis: 0.5, 20, 3k, 2M."""
    for unit, letter in ((1e6, "M"), (1e3, "k")):
        if value >= unit:
            return f"{value / unit:g}{letter}"
    return f"{value:g}"


def shortened(name):
    if len(name) <= NAME_CHARACTERS_MAX:
        return name
    return name[:NAME_CHARACTERS_MAX - 1].rstrip() + "…"


def element(tag, text=None, **attributes):
    """An element, escaped. `class_` gives class, `a_b` gives a-b."""
    words = "".join(f' {name.rstrip("_").replace("_", "-")}="{html.escape(str(value))}"'
                    for name, value in attributes.items())
    return f"<{tag}{words}/>" if text is None else f"<{tag}{words}>{html.escape(text)}</{tag}>"


def percent(place):
    return f"{place:.2f}%"


def anchored(place):
    """Where a text at this place hangs, so that it does not leave the picture."""
    return "start" if place < 8 else "end" if place > 92 else "middle"


def draw_axis(scale, top, bottom):
    parts = []
    for value in scale.ticks():
        place = scale.place(value)
        parts.append(element("line", x1=percent(place), x2=percent(place), y1=top, y2=bottom,
                             class_="grid"))
        parts.append(element("text", short(value), x=percent(place), y=bottom + 15,
                             text_anchor=anchored(place), class_="tick"))
    return parts


def draw_whisker(low, high, middle):
    """An interval, twice: a wide line in the colour of the paper sets the thin one off from the
    bar."""
    parts = []
    for layer in ("halo", "whisker"):
        parts.append(element("line", x1=low, x2=high, y1=middle, y2=middle, class_=layer))
        for end in (low, high):
            parts.append(element("line", x1=end, x2=end, y1=middle - 4, y2=middle + 4,
                                 class_=layer))
    return parts


def draw_rounds(bar, scale, lane):
    """A dot for each round, at three heights, so that equal ones do not hide each other."""
    parts = []
    for number, sample in enumerate(bar.samples):
        if sample > scale.high:
            parts.append(element("text", "›", x="100%", y=lane + 7, text_anchor="end",
                                 class_="beyond"))
        else:
            parts.append(element("circle", cx=percent(scale.place(sample)),
                                 cy=lane + 2 + 2.5 * (number % 3), r=1.7,
                                 class_=f"dot {bar.kind}"))
    return parts


def draw_marks(bar, scale, top):
    """What stands over a bar: its name and figure; where rounds differ, interval and dots."""
    parts = [
        element("text", shortened(bar.name), x=0, y=top + 12, class_=f"name {bar.kind}"),
        element("text", figure(bar.median), x="100%", y=top + 12, text_anchor="end",
                class_=f"value {bar.kind}"),
    ]
    if bar.interval:
        low, high = (percent(scale.place(end)) for end in bar.interval)
        parts += draw_whisker(low, high, top + NAME_LINE + BAR / 2)
        parts += draw_rounds(bar, scale, top + NAME_LINE + BAR + 2)
    return parts


def draw_target(target, scale, top, bottom):
    place = scale.place(target)
    return [element("line", x1=percent(place), x2=percent(place), y1=top - 4, y2=bottom,
                    class_="target"),
            element("text", f"target {figure(target)}", x=percent(place), y=top - 8,
                    text_anchor="start" if place < 50 else "end", class_="target-text")]


def describe(bars, unit, target, scale):
    """The chart in words."""
    kind = "a logarithmic axis" if scale.logarithmic else "an axis from zero"
    words = f"Bars on {kind}, {unit}: " + "; ".join(
        f"{bar.name} {figure(bar.median)}" for bar in bars)
    return words if target is None else f"{words}; heddle's target {figure(target)}"


def draw(identity, title, unit, bars, target=None):
    """The chart of some bars, and whether its axis is logarithmic; heddle is to stay left of the
    `target`. `identity` makes its names unique in the document."""
    ends = [end for bar in bars for end in bar.interval or ()]
    scale = Scale([bar.median for bar in bars], ends if target is None else [*ends, target])
    top = 0 if target is None else TARGET_LANE
    row = NAME_LINE + BAR + DOT_LANE + GAP
    bottom = top + row * len(bars)
    parts = [
        f'<svg class="chart" role="img" width="100%" height="{bottom + AXIS}"'
        f' aria-labelledby="{identity}-t {identity}-d">',
        element("title", title, id=f"{identity}-t"),
        element("desc", describe(bars, unit, target, scale), id=f"{identity}-d"),
        *draw_axis(scale, top, bottom),
    ]
    for number, bar in enumerate(bars):
        parts.append(element("rect", x=0, y=top + number * row + NAME_LINE, height=BAR, rx=2,
                             width=percent(max(scale.place(bar.median), 0.3)),
                             class_=f"bar {bar.kind}"))
    if target is not None:
        parts += draw_target(target, scale, top, bottom)
    for number, bar in enumerate(bars):
        parts += draw_marks(bar, scale, top + number * row)
    parts.append("</svg>")
    return "\n".join(parts), scale.logarithmic
