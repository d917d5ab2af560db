"""Curves over the number of fibers as inline SVG, both axes logarithmic.

Like the bars of chart.py it has no fixed width: places along the axis are percentages, heights are
pixels. A line has a colour, a dash and a marker of its own, so that it is known without colour; the
95 % interval of each median stands across its marker. Colours come from page.css by class.
"""

import math
from dataclasses import dataclass

from chart import element, percent, short
from growth import grouped
from report import figure

# Heights in pixels.
MARK_LANE = 20
PLOT = 300
AXIS = 40

# How far the outermost points stand from the edges, as parts of the width: on the left there is
# room for the figures of the axis.
LEFT = 0.12
RIGHT = 0.05

# The peers' looks: a marker around (0, 0), and a dash. As many colours are in page.css.
MARKERS = (
    "M-4.5 -4.5H4.5V4.5H-4.5Z",  # square
    "M0 -5.5L5.2 4H-5.2Z",  # triangle
    "M0 -6L5 0L0 6L-5 0Z",  # diamond
    "M0 5.5L5.2 -4H-5.2Z",  # triangle on its tip
    "M-4.5 -4.5L4.5 4.5M-4.5 4.5L4.5 -4.5",  # cross
    "M0 -6V6M-6 0H6",  # plus
    "M-5 -5L5 5H-5L5 -5Z",  # hourglass
)
DASHES = ("7 3", "2.5 3", "10 3 2.5 3", "5 5", "12 4", "1.5 4.5", "8 3 2 3 2 3")
CIRCLE = "M-4.6 0A4.6 4.6 0 1 1 4.6 0A4.6 4.6 0 1 1 -4.6 0Z"
# Floors are hollow.
FLOORS = (("M-4 0A4 4 0 1 1 4 0A4 4 0 1 1 -4 0Z", "1.5 3"), ("M-4 -4H4V4H-4Z", "6 2 1.5 2"))


@dataclass(frozen=True)
class Look:
    """How a contender is drawn, the same on the whole page."""

    class_: str
    marker: str
    dash: str


@dataclass(frozen=True)
class Point:
    fibers: int
    median: float
    low: float  # of the interval of the median
    high: float


@dataclass(frozen=True)
class Line:
    name: str
    look: Look
    points: list[Point]


def looks(contenders):
    """A look for each of (name, kind), in order."""
    found = {}
    peers = 0
    floors = 0
    for name, kind in contenders:
        if name in found:
            continue
        if kind == "heddle":
            found[name] = Look("heddle", CIRCLE, "none")
        elif kind == "floor":
            found[name] = Look("floor", *FLOORS[floors % len(FLOORS)])
            floors += 1
        else:
            # After all colours the dashes move on, so that no two peers look alike.
            place = peers % len(MARKERS)
            turn = peers // len(MARKERS)
            found[name] = Look(f"p{place}", MARKERS[place], DASHES[(place + turn) % len(DASHES)])
            peers += 1
    return found


class Axis:
    """A logarithmic axis: from a figure to a part of its length."""

    def __init__(self, least, most, before, after):
        """`before` and `after` are the parts of the length that the two figures stay away from the
        ends."""
        self.low = math.log10(least)
        self.span = math.log10(most) - self.low or 1.0
        self.before = before
        self.inner = 1 - before - after

    def part(self, value):
        place = self.before + self.inner * (math.log10(value) - self.low) / self.span
        return min(max(place, 0.0), 1.0)

    def ticks(self):
        """Powers of ten; within two decades 2 and 5 times them as well; closer still, all tenths of
        a decade that are short figures."""
        ends = (self.low - self.span * self.before / self.inner,
                self.low + self.span * (1 - self.before) / self.inner)
        steps = (1,) if ends[1] - ends[0] > 2.5 else (1, 2, 5) if ends[1] - ends[0] > 0.7 else (
            1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8, 9)
        return [step * 10.0 ** power
                for power in range(math.floor(ends[0]), math.ceil(ends[1]) + 1) for step in steps
                if ends[0] <= math.log10(step * 10.0 ** power) <= ends[1]]


@dataclass(frozen=True)
class Picture:
    """What is drawn in one frame."""

    title: str
    unit: str
    counted: str  # what the axis to the right has ever more of
    lines: list[Line]  # each with a point at least
    targets: dict[int, float]  # what heddle is to stay below, by number of fibers
    levels: list  # growth.Level
    rises: list  # growth.Rise, heddle's


class Frame:
    """Where a figure stands in the picture."""

    def __init__(self, lines):
        points = [point for line in lines for point in line.points]
        self.fibers = sorted({point.fibers for point in points})
        self.x_axis = Axis(self.fibers[0], self.fibers[-1], LEFT, RIGHT)
        self.y_axis = Axis(min(point.low for point in points),
                           max(point.high for point in points), 0.06, 0.06)
        self.bottom = MARK_LANE + PLOT

    def x(self, fibers):
        return percent(100 * self.x_axis.part(fibers))

    def y(self, value):
        return round(self.bottom - PLOT * self.y_axis.part(value), 1)


def draw_grid(frame, counted):
    parts = []
    for value in frame.y_axis.ticks():
        y = frame.y(value)
        parts.append(element("line", x1="0", x2="100%", y1=y, y2=y, class_="grid"))
        parts.append(element("text", short(float(f"{value:.3g}")), x="0", y=round(y - 4, 1),
                             class_="tick"))
    for fibers in frame.fibers:
        x = frame.x(fibers)
        parts.append(element("line", x1=x, x2=x, y1=frame.bottom, y2=frame.bottom + 5,
                             class_="stroke-tick"))
        parts.append(element("text", short(fibers), x=x, y=frame.bottom + 18,
                             text_anchor="middle", class_="tick"))
    parts.append(element("text", counted, x="100%", y=frame.bottom + 35, text_anchor="end",
                         class_="tick"))
    return parts


def letter(number):
    """What a level is called in the picture and in its legend."""
    return chr(ord("A") + number)


def draw_levels(levels, frame):
    """A line where each cache and TLB ends, with its letter above."""
    parts = []
    last = 0.0
    for number, level in enumerate(levels):
        x = frame.x(level.fibers)
        # The letters of close neighbours stand away from each other.
        part = frame.x_axis.part(level.fibers)
        close = number > 0 and part - last < 0.04
        last = part
        parts.append(element("line", x1=x, x2=x, y1=MARK_LANE, y2=frame.bottom, class_="level"))
        parts.append(element("text", letter(number), x=x, y=MARK_LANE - 5, class_="level-text",
                             text_anchor="start" if close else "middle", dx=3 if close else 0))
    return parts


def draw_rises(line, rises, frame):
    """By how much heddle's answer rises, below the rising part of its line."""
    medians = {point.fibers: point.median for point in line.points}
    parts = []
    for rise in rises:
        if rise.low in medians and rise.high in medians:
            x = 50 * (frame.x_axis.part(rise.low) + frame.x_axis.part(rise.high))
            y = (frame.y(medians[rise.low]) + frame.y(medians[rise.high])) / 2
            parts.append(element("text", f"×{rise.times:.2g}", x=percent(x), y=round(y + 18, 1),
                                 text_anchor="middle", class_="rise"))
    return parts


def draw_segments(line, frame):
    return [element("line", x1=frame.x(one.fibers), y1=frame.y(one.median),
                    x2=frame.x(other.fibers), y2=frame.y(other.median),
                    class_=f"line {line.look.class_}", stroke_dasharray=line.look.dash)
            for one, other in zip(line.points, line.points[1:])]


def describe_point(line, point, counted):
    text = f"{line.name}, {grouped(point.fibers)} {counted}: {figure(point.median)}"
    if point.low < point.high:
        text += f" ({figure(point.low)} to {figure(point.high)})"
    return text


def draw_point(line, point, counted, frame):
    """The interval and the marker, in a picture of their own whose origin is the point."""
    y = frame.y(point.median)
    high, low = (round(frame.y(end) - y, 1) for end in (point.high, point.low))
    parts = [f'<svg x="{frame.x(point.fibers)}" y="{y}" overflow="visible" aria-hidden="true"'
             f' class="point {line.look.class_}">',
             element("title", describe_point(line, point, counted))]
    if low - high > 2:  # pixels; what is shorter hides behind its marker anyway
        parts.append(element("path", d=f"M0 {high}V{low}M-4 {high}H4M-4 {low}H4",
                             class_="interval-line"))
    parts.append(element("path", d=line.look.marker, class_="marker"))
    parts.append("</svg>")
    return parts


def draw_targets(targets, frame):
    """A short stroke at each number of fibers where heddle is to stay below a figure."""
    parts = []
    for fibers, value in targets.items():
        # What is far outside of the picture would be drawn at its edge, where it is not.
        part = frame.y_axis.part(value) if value > 0 else 0.0
        if 0.0 < part < 1.0:
            parts += [f'<svg x="{frame.x(fibers)}" y="{frame.y(value)}" overflow="visible"'
                      ' aria-hidden="true">',
                      element("title", f"target at {grouped(fibers)}: {figure(value)}"),
                      element("path", d="M-14 0H14", class_="target bound"), "</svg>"]
    return parts


def describe(picture):
    """The curves in words."""
    words = [f"Curves over the number of {picture.counted}, both axes logarithmic, {picture.unit}"]
    for line in picture.lines:
        words.append(f"{line.name}: " + ", ".join(
            f"{figure(point.median)} at {grouped(point.fibers)}" for point in line.points))
    if picture.targets:
        words.append("heddle's targets: " + ", ".join(
            f"{figure(value)} at {grouped(fibers)}" for fibers, value in picture.targets.items()))
    for number, level in enumerate(picture.levels):
        words.append(f"{letter(number)}, at {grouped(level.fibers)}: {level.name}")
    return "; ".join(words)


def draw(identity, picture):
    """The picture as SVG. `identity` makes its names unique in the document."""
    frame = Frame(picture.lines)
    parts = [
        f'<svg class="chart" role="img" width="100%" height="{frame.bottom + AXIS}"'
        f' aria-labelledby="{identity}-t {identity}-d">',
        element("title", picture.title, id=f"{identity}-t"),
        element("desc", describe(picture), id=f"{identity}-d"),
        *draw_grid(frame, picture.counted), *draw_levels(picture.levels, frame),
    ]
    # heddle comes last, over the others.
    ordered = sorted(picture.lines, key=lambda line: line.look.class_ == "heddle")
    for line in ordered:
        parts += draw_segments(line, frame)
    parts += draw_targets(picture.targets, frame)
    for line in ordered:
        for point in line.points:
            parts += draw_point(line, point, picture.counted, frame)
        if line.look.class_ == "heddle":
            parts += draw_rises(line, picture.rises, frame)
    parts.append("</svg>")
    return "\n".join(parts)


def draw_sample(look):
    """A piece of a line with its marker, for legends."""
    return ('<svg width="44" height="14" aria-hidden="true">'
            + element("line", x1=1, x2=43, y1=7, y2=7, class_=f"line {look.class_}",
                      stroke_dasharray=look.dash)
            + f'<svg x="22" y="7" overflow="visible" aria-hidden="true"'
            f' class="point {look.class_}">'
            + element("path", d=look.marker, class_="marker") + "</svg></svg>")
