"""From samples to rows, from rows to tables, verdicts and results.json."""

import math
import statistics
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One contender's answer to one metric of one case.

    Ratios are taken within each round, because what disturbs the machine disturbs neighbours
    alike; the median and the interval are of those ratios.
    """

    question: str
    contender: str
    kind: str
    unit: str
    samples: list[float]
    median: float
    min: float
    spread: float  # interquartile range divided by the median
    ratio: float | None  # heddle's figure divided by this contender's
    ratio_low: float | None  # the 95 % interval of that
    ratio_high: float | None


def spread_of(samples):
    if len(samples) < 2 or statistics.median(samples) == 0:
        return 0.0
    lower, _, upper = statistics.quantiles(samples, n=4, method="inclusive")
    return (upper - lower) / statistics.median(samples)


def interval_of_median(values):
    """The narrowest pair of order statistics that holds the median with at least 95 %.

    Nothing is assumed about the distribution. Below six values even the extremes hold it with
    less, and they are what is returned.
    """
    ordered = sorted(values)
    count = len(ordered)
    rank = 0
    outside = 0.0  # the probability that the median lies beyond the pair
    while rank < count // 2:
        outside += 2 * math.comb(count, rank) / 2 ** count
        if outside > 0.05:
            break
        rank += 1
    rank = max(rank, 1)
    return ordered[rank - 1], ordered[count - rank]


def make_row(question, contender, unit, samples, heddle):
    """`samples` and `heddle` (None: heddle gave no answer) hold one figure per round, in order."""
    ratio = low = high = None
    if heddle and min(samples) > 0:
        ratios = [ours / theirs for ours, theirs in zip(heddle, samples, strict=True)]
        ratio = statistics.median(ratios)
        low, high = interval_of_median(ratios)
    return Row(question, contender.name, contender.kind, unit, samples,
               statistics.median(samples), min(samples), spread_of(samples), ratio, low, high)


def figure(value):
    """Three digits that count, without an exponent."""
    if abs(value) < 0.00005:
        return "0"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:.{min(digits, 4)}f}"


def print_table(row_name, text, metric, rows):
    """One block: everybody's answer to one metric of one case."""
    print(f"\n{row_name}: {text}")
    print(f"  {metric.unit}" + (f"; {metric.better} is better" if metric.better else ""))
    print(f"  {'':<24}{'median':>10}{'min':>10}{'spread':>9}   heddle ÷ this one")
    for row in rows:
        name = row.contender + (" (floor)" if row.kind == "floor" else "")
        line = f"  {name:<24}{figure(row.median):>10}{figure(row.min):>10}{row.spread:>8.0%} "
        if row.kind == "heddle":
            line += "  1"
        elif row.ratio is not None:
            line += f"  {figure(row.ratio)}"
            if len(row.samples) > 1:
                line += f"  ({figure(row.ratio_low)} to {figure(row.ratio_high)})"
        print(line.rstrip())


def explain_tables(rounds):
    print("\n`heddle ÷ this one` is heddle's figure divided by that row's, within each round: 0.25")
    print("means that heddle takes a quarter. In brackets: the 95 % interval of the median over")
    print(f"{rounds} rounds" + (". " if rounds >= 6 else " (too few for it: the extremes). ") +
          "A floor is what the machine allows, not a library.")


@dataclass(frozen=True)
class Judgement:
    """What a run says about one target."""

    met: bool | None  # None: it cannot be told
    text: str
    detail: str = ""
    value: float | None = None  # what is to be at most `bound`, both absolute or both ratios
    bound: float | None = None


def judge(target, rows):
    """What `rows` say about one target; None where they say nothing."""
    ours = rows.get((target.row, "heddle"))
    theirs = rows.get((target.row, target.against)) if target.against else ours
    if ours is None and theirs is None:
        return None
    if ours is None or theirs is None:
        return Judgement(None,
                         f"{target.row}: no answer from {target.against if ours else 'heddle'}")
    if target.ratio is None:
        value, bound = ours.median, target.absolute
        text = f"{target.row}: {figure(value)} {ours.unit}, at most {bound:g}"
        detail = ""
    else:
        value, bound = ours_to(theirs, target), target.ratio
        text = f"{target.row}: {figure(value)} of {target.against}, at most {bound:g}"
        detail = f"{figure(ours.median)} {ours.unit}"
        if target.absolute is not None:
            detail += f"; {target.absolute:g} on the machine of the targets"
    if len(ours.samples) < target.rounds_min:
        return Judgement(None, f"{text}; takes {target.rounds_min} rounds to tell", detail, value,
                         bound)
    if value > bound:
        text += ": " + (f"{value / bound - 1:.0%} too much" if bound else "too much")
    return Judgement(value <= bound, text, detail, value, bound)


def ours_to(theirs, target):
    """The ratio that decides: the median, or for scattered figures the end of its interval."""
    return theirs.ratio_high if target.rounds_min else theirs.ratio


def verdict_of(target, judged):
    """A judgement as results.json has it."""
    words = {True: "met", False: "missed", None: "open"}
    return {"question": target.row, "against": target.against, "verdict": words[judged.met],
            "text": judged.text, "detail": judged.detail, "value": judged.value,
            "bound": judged.bound}


def print_verdicts(targets, unasked, rows):
    """A line for each target that this run can say something about; returns the verdicts."""
    verdicts = []
    print("\nTargets")
    for target in targets:
        judged = judge(target, rows)
        if judged:
            verdicts.append(verdict_of(target, judged))
            print(f"  {verdicts[-1]['verdict']:<7} {judged.text}")
            if judged.detail:
                print(f"  {'':<7}   {judged.detail}")
    if unasked:
        print("  No question asks yet for")
        for text in unasked:
            print(f"  {'':<7} {text}")
    return verdicts
