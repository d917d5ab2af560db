"""From samples to rows, from rows to tables, verdicts and results.json."""

import json
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
    ratio_low: float | None  # the 95 % interval of that, below six rounds its extremes
    ratio_high: float | None
    fibers: int = 0  # how many there were, where the row is a point of a curve
    curve: str = ""  # which one: the rows of one name differ in `fibers` alone


# Of fewer values not even the extremes hold the median with 95 %.
ROUNDS_OF_INTERVAL = 6


def say_rounds(counts, of_run):
    """What has to be said of rows of so many rounds: nothing where they are as many as the run has
    and suffice for an interval."""
    few, many = min(counts, default=0), max(counts, default=0)
    if not many or (few >= ROUNDS_OF_INTERVAL and few == of_run):
        return ""
    text = f"{few} round" + ("s" if few > 1 else "") if few == many else f"{few} to {many} rounds"
    if few >= ROUNDS_OF_INTERVAL:
        return text
    return text + (": brackets are the extremes" if many > 1 else ": no interval")


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


def six_digits(value):
    """Rounded: six digits are more than any clock is good for, and keep results.json short."""
    return None if value is None else float(f"{value:.6g}")


def make_row(question, contender, unit, samples, heddle, fibers=0, curve=""):
    """`samples` and `heddle` (None: heddle gave no answer) hold one figure per round, in order."""
    ratio = low = high = None
    if heddle and min(samples) > 0:
        ratios = [ours / theirs for ours, theirs in zip(heddle, samples, strict=True)]
        ratio = statistics.median(ratios)
        low, high = interval_of_median(ratios)
    computed = (statistics.median(samples), min(samples), spread_of(samples), ratio, low, high)
    return Row(question, contender.name, contender.kind, unit, samples,
               *map(six_digits, computed), fibers, curve)


def figure(value):
    """Three digits that count, or all before the point; without an exponent from a millionth on."""
    if value == 0:
        return "0"
    # The exponent of what is printed, which is the next one where rounding carries: 0.9996.
    power = int(f"{value:.2e}".partition("e")[2])
    return f"{value:.{max(0, 2 - power)}f}" if power >= -6 else f"{value:.2e}"


def print_table(row_name, text, metric, rows, rounds):
    """One block: everybody's answer to one metric of one case."""
    print(f"\n{row_name}: {text}")
    remark = say_rounds([len(row.samples) for row in rows], rounds)
    print("; ".join(part for part in (
        f"  {metric.unit}", metric.better and f"{metric.better} is better", remark) if part))
    print(f"  {'':<24}{'median':>10}{'min':>10}{'spread':>9}   heddle ÷ this one")
    for row in rows:
        name = row.contender + (" (floor)" if row.kind == "floor" else "")
        spread = f"{row.spread:.0%}" if len(row.samples) > 1 else "–"
        line = f"  {name:<24}{figure(row.median):>10}{figure(row.min):>10}{spread:>9}"
        if row.kind == "heddle":
            line += "   1"
        elif row.ratio is not None:
            line += f"   {figure(row.ratio)}"
            if len(row.samples) > 1:
                line += f"  ({figure(row.ratio_low)} to {figure(row.ratio_high)})"
        print(line.rstrip())


def explain_tables(rounds):
    print("\n`heddle ÷ this one` is heddle's figure divided by that row's, within each round: 0.25")
    print("means that heddle takes a quarter. In brackets: the 95 % interval of the median over")
    count = f"{rounds} round" + ("s" if rounds > 1 else "")
    print(f"{count}, or as many as the row says; of 2 to 5 rounds the extremes, of one nothing.")
    print("A floor is what the machine allows, not a library.")


@dataclass(frozen=True)
class Judgement:
    """What a run says about one target."""

    met: bool | None  # None: it cannot be told
    text: str
    detail: str = ""
    value: float | None = None  # what is to be at most `bound`, both absolute or both ratios
    bound: float | None = None


NOT_ASKED = "not asked"


def judge(target, rows, asked):
    """What `rows` say about one target; `asked` are the names of all rows that the run asked for,
    answered or not."""
    ours = rows.get((target.row, "heddle"))
    theirs = rows.get((target.row, target.against)) if target.against else ours
    if ours is None and target.row not in asked:
        return Judgement(None, f"{target.row}: {NOT_ASKED}")
    if ours is None or theirs is None:
        return Judgement(None,
                         f"{target.row}: no answer from {target.against if ours else 'heddle'}")
    if target.ratio is not None and theirs.ratio is None:
        return Judgement(None, f"{target.row}: no ratio, for {target.against} has a zero")
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
        text += ": " + (f"{figure(100 * (value / bound - 1))} % too much" if bound else "too much")
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


def count_verdicts(verdicts):
    """`12 met, 1 missed, 2 open (1 not asked)`, without what there is none of."""
    counts = [(sum(one["verdict"] == word for one in verdicts), word)
              for word in ("met", "missed", "open")]
    words = ", ".join(f"{count} {word}" for count, word in counts if count)
    unasked = sum(one["text"].endswith(f": {NOT_ASKED}") for one in verdicts)
    return words + (f" ({unasked} {NOT_ASKED})" if unasked else "")


def print_verdicts(targets, unasked, rows, asked):
    """A line for each target, whether this run can tell or not; returns the verdicts."""
    verdicts = []
    print("\nTargets")
    for target in targets:
        judged = judge(target, rows, asked)
        verdicts.append(verdict_of(target, judged))
        print(f"  {verdicts[-1]['verdict']:<7} {judged.text}")
        if judged.detail:
            print(f"  {'':<7}   {judged.detail}")
    print(f"  {count_verdicts(verdicts)}")
    if unasked:
        print("  No question asks yet for")
        for text in unasked:
            print(f"  {'':<7} {text}")
    return verdicts


def as_json(results):
    """Results as text, a line for each row and target, so that two files can be laid side by
    side by line."""
    parts = []
    for name, value in results.items():
        if isinstance(value, list) and value:
            lines = ",\n".join(f"  {json.dumps(one, ensure_ascii=False)}" for one in value)
            parts.append(f" {json.dumps(name)}: [\n{lines}\n ]")
        else:
            parts.append(f" {json.dumps(name)}: {json.dumps(value, ensure_ascii=False)}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def bytes_text(size):
    for unit, name in ((2 ** 30, "GiB"), (2 ** 20, "MiB"), (2 ** 10, "KiB")):
        if size >= unit:
            return f"{size / unit:g} {name}"
    return f"{size} bytes"


def header_facts(header):
    """Pairs of words: on what, with what and when the figures were taken, as far as is known."""
    pairs = [(name, str(header[name])) for name in ("machine", "kernel", "compiler",
                                                    "libraries", "huge pages", "commit", "date",
                                                    "load", "stolen", "interrupted")
             if name in header]
    if "cpu" in header:
        pairs.append(("CPUs", f"contenders on {header['cpu']}, load generator on "
                              f"{header['load_cpu']}"))
    memory = header.get("memory")
    if memory and memory["caches"]:
        pairs.append(("caches", ", ".join(f"{name} {bytes_text(size)}"
                                          for name, size in memory["caches"])))
    if memory:
        pairs.append(("data TLBs", " and ".join(str(entries) for _, entries in memory["tlb"])
                      + " pages" + ("" if memory["tlb_told"] else ", assumed")))
    if "rounds" in header:
        pairs.append(("rounds", str(header["rounds"])))
    return pairs
