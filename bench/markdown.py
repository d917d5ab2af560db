#!/usr/bin/env python3
"""results.json as Markdown: bench/RESULTS.md, which is generated and never typed.

`bench/run --results` measures and writes it together with bench/RESULTS.json, which holds what it
is made of; `bench/markdown.py bench/RESULTS.json > bench/RESULTS.md` makes it again. The tests see
that the two agree, so nobody can improve a figure by hand, and no row can be lost on the way.
"""

import os
import re
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, HERE)

import files  # noqa: E402
import growth  # noqa: E402
import report  # noqa: E402
from report import count_verdicts, figure, header_facts  # noqa: E402

MARKS = {"met": "✓ met", "missed": "✗ **missed**", "open": "○ open"}
LOSES = "✗ **loses**"
EVEN = "= even"


def plain(text):
    """A text that Markdown takes for nothing but text, within a cell of a table too."""
    text = re.sub(r"[\\`*<>\[\]|]", r"\\\g<0>", " ".join(str(text).split()))
    # Within a word an underscore means nothing to Markdown, and most stand there.
    return re.sub(r"(?<!\w)_|_(?!\w)", r"\\_", text)


def table(heads, rows, aligned):
    """`aligned` has a letter for each column: l or r."""
    marks = {"l": ":--", "r": "--:"}
    lines = [heads, [marks[one] for one in aligned], *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def bullets(lines):
    return "\n".join(f"- {line}" for line in lines)


def full_name(row):
    name = plain(row["contender"]) + (" (floor)" if row["kind"] == "floor" else "")
    return f"**{name}**" if row["kind"] == "heddle" else name


def ratio_text(row):
    if row["kind"] == "heddle":
        return "1"
    if row["ratio"] is None:
        return "–"
    text = figure(row["ratio"])
    low, high = figure(row["ratio_low"]), figure(row["ratio_high"])
    return text if low == high else f"{text} ({low} to {high})"


def sign_of_difference(ours, theirs):
    """1 where heddle's figures are the larger ones, -1 where they are the smaller ones, 0 where the
    interval does not tell."""
    if theirs["ratio"] is not None:
        return (theirs["ratio_low"] > 1) - (theirs["ratio_high"] < 1)
    # With a zero among them there are no ratios.
    (our_low, our_high), (their_low, their_high) = growth.ends(ours), growth.ends(theirs)
    return (our_low > their_high) - (our_high < their_low)


def standing(row, ours, better):
    """How heddle, whose row is `ours`, stands against another row: LOSES, EVEN, or nothing where it
    wins or where there is nobody to lose against."""
    if row["kind"] != "peer" or not better or ours is None:
        return ""
    sign = sign_of_difference(ours, row)
    if sign == 0:
        return EVEN
    return LOSES if (sign > 0) == (better == "less") else ""


def standing_text(row, ours, better):
    """The same for the table, with the number of rounds where they are too few to be sure."""
    word = standing(row, ours, better)
    few = min(len(row["samples"]), report.ROUNDS_OF_INTERVAL)
    if not word or few == report.ROUNDS_OF_INTERVAL:
        return word
    return f"{word} (unsure: {few} round" + ("s)" if few > 1 else ")")


def grouped_rows(results):
    """For each metric of each case in order: what was asked, its rows, and heddle's among them."""
    by_row = {}
    for row in results["rows"]:
        by_row.setdefault(row["question"], []).append(row)
    for one in results["tables"]:
        rows = by_row.get(one["row"], [])
        yield one, rows, next((row for row in rows if row["kind"] == "heddle"), None)


def facts(results):
    pairs = [(name, plain(value)) for name, value in header_facts(results["header"])]
    if "command" in results["header"]:
        pairs.append(("command", plain(results["header"]["command"])))
    return table(("what", "which"), pairs, "ll")


def remarks(results):
    notes = [*results["notes"], *(f"Problem: {problem}" for problem in results["problems"])]
    extent = results["header"].get("extent", "strange")
    if extent != "default":
        notes.insert(0, f"A {extent} run, not a full one: fewer rounds, and wider intervals.")
    return bullets(map(plain, notes)) or "The run had nothing to remark."


def verdict_text(verdict):
    _, _, rest = verdict["text"].partition(": ")
    return plain(rest) + (f" ({plain(verdict['detail'])})" if verdict.get("detail") else "")


def targets(results):
    if not results["targets"]:
        return "This run judged no target."
    rows = [(MARKS[verdict["verdict"]], plain(verdict["question"]), verdict_text(verdict))
            for verdict in results["targets"]]
    return (f"{count_verdicts(results['targets'])}.\n\n"
            + table(("verdict", "row", "heddle"), rows, "lll"))


def losses(results):
    """Every target that is missed, every peer that is better, and every question that heddle has no
    answer to."""
    missed = [f"{plain(verdict['question'])}: {verdict_text(verdict)}"
              for verdict in results["targets"] if verdict["verdict"] == "missed"]
    silent = [f"{plain(one['row'])}: no answer from heddle: {plain(who['reason'])}"
              for one in results["tables"] for who in one["absent"] if who["contender"] == "heddle"]
    lost = [(plain(one["row"]), figure(ours["median"]), full_name(row), figure(row["median"]),
             ratio_text(row), str(len(row["samples"])), plain(row["unit"]))
            for one, rows, ours in grouped_rows(results) for row in rows
            if standing(row, ours, one["better"]) == LOSES]
    parts = []
    if missed:
        parts += ["Targets that are missed:", bullets(missed)]
    if silent:
        parts += ["Questions without an answer:", bullets(silent)]
    if lost:
        parts += ["Rows in which another library is better, all that is in brackets included "
                  "(below 6 rounds the extremes, so that it is less sure):",
                  table(("row", "heddle", "who is better", "theirs", "heddle ÷ theirs", "rounds",
                         "unit"), lost, "lrlrrrl")]
    return "\n\n".join(parts) or "Nowhere in this run."


def growth_of(curve, results):
    """One curve: its figures, and for what is touched in turn where it should rise and does."""
    rows = [(full_name(next(iter(line.values()))),
             *(cell or "–" for cell in growth.cells(curve, contender)))
            for contender, line in curve.lines.items()]
    heads = (plain(curve.counted), *(growth.grouped(fibers) for fibers in curve.fibers))
    parts = [f"### {plain(curve.name)}: {plain(curve.unit)}",
             table(heads, rows, "l" + "r" * len(curve.fibers))]
    levels = growth.levels_of(curve, results)
    if levels:
        first, *sentences = growth.explain_curve(curve, results) or ["heddle gave no answer."]
        parts += [growth.EXPECTATION,
                  bullets(plain(f"{growth.explain_level(level)} ({level.detail})")
                          for level in levels),
                  plain(first), bullets(map(plain, sentences))]
    return "\n\n".join(part for part in parts if part)


def growths(results):
    return "\n\n".join(growth_of(curve, results) for curve in growth.curves(results)) or \
        "This run asked nothing of two numbers of fibers."


def row_cells(row, ours, better):
    spread = f"{row['spread']:.0%}" if len(row["samples"]) > 1 else "–"
    return (full_name(row), figure(row["median"]), figure(row["min"]), spread, ratio_text(row),
            standing_text(row, ours, better))


def every_row(results):
    """A table for each metric of each case."""
    parts = []
    question = None
    for one, rows, ours in grouped_rows(results):
        if one["question"] != question:
            question = one["question"]
            parts.append(f"### {plain(question)}")
        better = f"{one['better']} is better" if one["better"] else "only to be known"
        cells = [row_cells(row, ours, one["better"]) for row in rows]
        cells += [(plain(who["contender"]), "–", "–", "–", "–",
                   f"no answer: {plain(who['reason'])}") for who in one["absent"]]
        rounds = report.say_rounds([len(row["samples"]) for row in rows],
                                   results["header"].get("rounds"))
        parts += [f"**{plain(one['row'])}**: {plain(one['text'])}; {plain(one['unit'])}; {better}"
                  + (f"; {rounds}" if rounds else ""),
                  table(("contender", "median", "least", "spread", "heddle ÷ this one", "heddle"),
                        cells, "lrrrrl")]
    return "\n\n".join(parts)


def document(results):
    """The whole text. Everything in it comes from `results`."""
    return f"""# Results

Generated by `bench/run --results` from the samples in `RESULTS.json`; not to be edited. README.md
says what is asked and how to read it. To lay a run of your own beside it:
`bench/compare bench/RESULTS.json build/bench-results/results.json`.

{facts(results)}

{remarks(results)}

## Targets

{targets(results)}

## Where heddle loses or misses its target

{losses(results)}

## Growth

What an operation, a fiber or all of them cost, by how many there are; ↑ marks a rise by a fifth or
more, where it is the cost of one.

{growths(results)}

## All {len(results["rows"])} rows

“heddle ÷ this one” is the median of the ratios within each round, with its 95 % interval;
rows of fewer rounds than the run say how many, and below six the bracket is the extremes and no
such interval. {LOSES} means that the other library is better, the bracket included, and {EVEN} that
the bracket holds 1; both say so where rounds are too few to be sure.
A floor is what the machine allows, not a library, and nobody is expected to reach it.

{every_row(results)}
"""


def main():
    print(document(files.load(sys.argv[1])), end="")


if __name__ == "__main__":
    main()
