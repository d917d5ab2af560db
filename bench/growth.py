"""How an answer grows with the number of fibers, and where the machine makes it rise.

Rows that name the same `curve` differ in nothing but `fibers`. For what a yield touches it can be
computed from how many fibers on it no longer fits into each cache and TLB. That is an expectation:
it stands beside what was measured, and neither is made to agree with the other. Everything here
works on results as results.json has them.
"""

import re
from dataclasses import dataclass

from report import bytes_text, figure, interval_of_median

# What a resumed fiber of heddle touches: its hot block, and on its stack, which is in pages of its
# own, the saved registers and the frames around the wait. Beside them its place in the run queue.
# Counted for rings of 256 to 1 024 (valgrind --tool=lackey --trace-mem=yes; what every round
# touches again): 3.2 to 3.3 lines for each further fiber, and 1.05 pages.
LINE = 64
HOT_BYTES = LINE
STACK_BYTES = 2 * LINE
QUEUE_BYTES = 8
FIBER_BYTES = HOT_BYTES + STACK_BYTES + QUEUE_BYTES
# Stacks lie further apart than the 32 KiB that one line of page-table entries covers, so the walk
# that fills the TLB reads a line of its own for each fiber, through the same caches.
ENTRY_BYTES = LINE

# What is drawn over the number of fibers: times, and what is in memory.
GROWING_UNITS = ("ns ", "us ", "ms ", "bytes ", "MiB in memory")
# Of these only what belongs to one operation or fiber should stay as it is when there are more.
OF_ONE = " per "

# Medians that differ by less are not called a rise, even where the intervals are apart.
RISE_MIN = 1.2

KINDS = ("heddle", "peer", "floor")

# Questions in which every fiber is resumed in turn, so that all are touched again and again.
TOUCHING = ("yield",)


@dataclass(frozen=True)
class Level:
    """Something of the machine that is full from a number of fibers on."""

    fibers: int
    name: str
    what: str  # is full, as a sentence without its end
    detail: str


@dataclass(frozen=True)
class Curve:
    """One metric of one question, for each contender at several numbers of fibers."""

    name: str
    question: str
    counted: str  # what there are ever more of: fibers, or what the question has in their place
    unit: str
    fibers: list[int]  # ascending
    lines: dict[str, dict[int, dict]]  # contender: number of fibers: row

    def kind(self, contender):
        return next(iter(self.lines[contender].values()))["kind"]


@dataclass(frozen=True)
class Rise:
    """Between two neighbouring numbers of fibers an answer became worse."""

    low: int
    high: int
    times: float


def grows(row):
    return bool(row.get("curve")) and row["unit"].startswith(GROWING_UNITS)


def counted_in(question):
    """What there are ever more of, after the row's name: `leaves` in skynet/1000_leaves."""
    found = re.search(r"/\d+_([a-z]+)", question)
    return {"armed": "armed timers"}.get(found[1], found[1]) if found else "fibers"


def curves(results):
    """The curves of a run, in its order: what was asked at two numbers of fibers at least."""
    found = {}
    for row in results["rows"]:
        if grows(row):
            line = found.setdefault(row["curve"], {}).setdefault(row["contender"], {})
            line.setdefault(row["fibers"], row)
    made = []
    for name, lines in found.items():
        rows = [row for line in lines.values() for row in line.values()]
        fibers = sorted({row["fibers"] for row in rows})
        # Not in the order of their first answers: not everybody is asked at every number.
        ordered = dict(sorted(lines.items(), key=lambda item: KINDS.index(
            next(iter(item[1].values()))["kind"])))
        if len(fibers) > 1:
            question = rows[0]["question"]
            made.append(Curve(name, question.partition("/")[0], counted_in(question),
                              rows[0]["unit"], fibers, ordered))
    return made


def grouped(number):
    """1 000 000, as the texts have it."""
    return f"{number:,}".replace(",", " ")


def levels(memory):
    """From how many yielding fibers on each cache and TLB is full; `memory` is
    host.describe_memory's."""
    found = []
    pages_per_fiber = 1 + HOT_BYTES / memory["page"]
    told = "" if memory["tlb_told"] else ", assumed"
    walks_from = 0
    for name, entries in memory["tlb"]:
        walks_from = int(entries / pages_per_fiber)
        found.append(Level(walks_from, name, f"the {name} is full",
                           f"{grouped(entries)} pages{told}"))
    for name, size in memory["caches"]:
        fibers = int(size / FIBER_BYTES)
        if fibers > walks_from:
            # Page-table entries take their share once the TLB no longer spares them.
            fibers = max(walks_from, int(size / (FIBER_BYTES + ENTRY_BYTES)))
        found.append(Level(fibers, f"{name} cache", f"the {name} cache is full",
                           bytes_text(size)))
    if memory["caches"]:
        name, size = memory["caches"][-1]
        found.append(Level(int(size / ENTRY_BYTES), "page tables",
                           f"their page-table entries alone fill the {name} cache",
                           "a fiber may wait for memory twice: for the entry, then for itself"))
    return sorted(found, key=lambda level: level.fibers)


def levels_of(curve, results):
    """The levels that matter to this curve, within its numbers of fibers."""
    memory = results["header"].get("memory")
    if curve.question not in TOUCHING or not memory:
        return []
    return [level for level in levels(memory)
            if curve.fibers[0] < level.fibers <= curve.fibers[-1]]


def ends(row):
    """Where the median of a row lies, at least and at most."""
    if len(row["samples"]) > 1:
        return interval_of_median(row["samples"])
    return row["median"], row["median"]


def rises(line):
    """Where one contender's answers rise by more than noise and by more than RISE_MIN; a sum over
    all fibers always does, and that is no news."""
    found = []
    if not all(OF_ONE in row["unit"] for row in line.values()):
        return []
    numbers = sorted(line)
    for low, high in zip(numbers, numbers[1:]):
        before, after = line[low], line[high]
        if before["median"] > 0 and after["median"] / before["median"] >= RISE_MIN \
                and ends(after)[0] > ends(before)[1]:
            found.append(Rise(low, high, after["median"] / before["median"]))
    return found


def explain_level(level):
    return f"from about {grouped(level.fibers)} fibers on {level.what}"


def factor(times):
    """Two digits, without an exponent."""
    return f"{times:.2g}" if times < 99.5 else f"{times:.0f}"


def floors_that_rise(rise, curve):
    """How much the floors of a curve rise in the same place: what the machine itself does there."""
    return [f"{contender} ×{factor(one.times)}" for contender, line in curve.lines.items()
            if curve.kind(contender) == "floor"
            for one in rises(line) if (one.low, one.high) == (rise.low, rise.high)]


def explain_rise(rise, floors, levels_all, shared):
    """Where heddle's answer rises, what the `floors` do there, and what is full by computation.
    `shared`: strangers use the last cache, too."""
    text = f"{grouped(rise.low)} → {grouped(rise.high)} fibers: ×{factor(rise.times)}"
    text += f" (floors: {', '.join(floors)}). " if floors else " (no floor rises there). "
    between = [level for level in levels_all if rise.low < level.fibers <= rise.high]
    if between:
        return text + "Computed to be full in between: " + ", ".join(
            f"{level.name} ({grouped(level.fibers)})" for level in between) + "."
    text += "Nothing is computed to be full just there"
    after = [level for level in levels_all if level.fibers > rise.high]
    if after:
        text += f"; next: {after[0].name} ({grouped(after[0].fibers)})"
        text += ", earlier where a host's other guests use it, too" if shared else ""
    return f"{text}."


def explain_curve(curve, results):
    """What is to be said about heddle's curve, a sentence each; nothing where no levels are
    known."""
    if not levels_of(curve, results) or "heddle" not in curve.lines:
        return []
    found = rises(curve.lines["heddle"])
    if not found:
        return ["heddle's answer rises by less than a fifth from each number to the next."]
    memory = results["header"]["memory"]
    return ["Where heddle's answer rises:",
            *(explain_rise(rise, floors_that_rise(rise, curve), levels(memory), memory["virtual"])
              for rise in found)]


def cells(curve, contender):
    """A contender's figures in the order of curve.fibers, with an arrow where they rise; empty
    where it was not asked or gave no answer."""
    line = curve.lines[contender]
    risen = {rise.high for rise in rises(line)}
    return [("↑" if fibers in risen else "") + figure(line[fibers]["median"])
            if fibers in line else "" for fibers in curve.fibers]


EXPECTATION = (
    f"Computed, not measured: a fiber that yields touches {FIBER_BYTES} bytes "
    f"({HOT_BYTES} of its control block, {STACK_BYTES} of its stack, {QUEUE_BYTES} of the run "
    f"queue) in one page of its own, and {ENTRY_BYTES} bytes of page tables once the TLB no "
    "longer holds that page.")


def print_growth(results):
    """The growth of every curve, for the console."""
    made = curves(results)
    for curve in made:
        print(f"\nGrowth of {curve.name}: {curve.unit}, by the number of {curve.counted}"
              + ("; ↑ marks a rise" if OF_ONE in curve.unit else ""))
        print(f"  {'':<24}" + "".join(f"{grouped(fibers):>11}" for fibers in curve.fibers))
        for contender in curve.lines:
            name = contender + (" (floor)" if curve.kind(contender) == "floor" else "")
            print(f"  {name:<24}" + "".join(f"{cell:>11}" for cell in cells(curve, contender)))
        for level in levels_of(curve, results):
            print(f"  expected {explain_level(level)} ({level.detail})")
        for sentence in explain_curve(curve, results):
            print(f"  {sentence}")
    if any(levels_of(curve, results) for curve in made):
        print(f"\n{EXPECTATION}")
