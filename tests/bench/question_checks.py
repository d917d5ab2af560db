"""What is checked of the table of questions: that it fits itself, the programs and the sources."""

import glob
import os
import re

import measure
import questions
from fixtures import ROOT

EXTENTS = ("default", "quick", "brief")
BENCH = os.path.join(ROOT, "bench")


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def cases():
    return [(question, case) for question in questions.QUESTIONS for case in question.cases]


def asked(case, contender, extent):
    return (not case.extents or extent in case.extents) and contender.answers(case)


def targets_have_rows():
    """A target speaks of a row that there is, and of a contender that is asked for it."""
    rows = {case.row(metric): (question, case) for question, case in cases()
            for metric in case.metrics}
    problems = []
    if len(rows) != sum(len(case.metrics) for _, case in cases()):
        problems.append("two rows have one name")
    for target in questions.TARGETS:
        if target.row not in rows:
            problems.append(f"no row {target.row}")
            continue
        question, case = rows[target.row]
        if (target.ratio is None) != (not target.against):
            problems.append(f"{target.row}: a ratio to nobody, or somebody without a ratio")
        if target.against and target.against not in [
                one.name for one in question.contenders if one.answers(case)]:
            problems.append(f"{target.row}: {target.against} is not asked")
        if case.rounds_max < target.rounds_min:
            problems.append(f"{target.row}: never asked in {target.rounds_min} rounds")
    return problems


def everybody_is_asked():
    """Each run asks each contender something, the first of them is heddle, and names differ."""
    problems = []
    for question in questions.QUESTIONS:
        names = [one.name for one in question.contenders]
        if len(set(names)) != len(names):
            problems.append(f"{question.name}: two contenders have one name")
        if [one.kind for one in question.contenders].count("heddle") != 1 or names[0] != "heddle":
            problems.append(f"{question.name}: heddle is not the first, or is there twice")
        problems += [f"{question.name}: {one.name} is not asked in a {extent} run"
                     for one in question.contenders for extent in EXTENTS
                     if not any(asked(case, one, extent) for case in question.cases)]
    return problems


def limits_are_kept():
    """A contender with a limit is asked up to it, and one without is always asked."""
    case = questions.Case("c", "", (), curve="c", fibers=1000)
    limits = {0: True, 999: False, 1000: True, 1001: True}
    problems = [f"1 000 fibers with a limit of {limit}" for limit, answers in limits.items()
                if questions.Contender("Peer", "peer", fibers_max=limit).answers(case) != answers]
    if not questions.Contender("Peer", "peer", fibers_max=1).answers(questions.Case("c", "", ())):
        problems.append("a limit counts for a case that says nothing of fibers")
    return problems


def curves_have_points():
    """The points of a curve are cases of one question, with different numbers of fibers."""
    problems = []
    found = {}
    for question, case in cases():
        if bool(case.curve) != bool(case.fibers):
            problems.append(f"{case.name}: a curve without a number, or a number without a curve")
        if case.curve:
            found.setdefault(case.curve, []).append((question.name, case.fibers))
    for curve, points in found.items():
        if len({question for question, _ in points}) != 1:
            problems.append(f"{curve}: its points belong to several questions")
        if len({fibers for _, fibers in points}) != len(points):
            problems.append(f"{curve}: two points at one place")
    return problems


def programs_are_built():
    """Each program is named in meson.build and has a source that says what it answers."""
    build = read(os.path.join(BENCH, "meson.build"))
    problems = []
    for question in questions.QUESTIONS:
        for one in question.contenders:
            built = re.search(rf"'{one.program}': \['?\[?'([^']+)'", build)
            if not built:
                problems.append(f"{one.program} is not built")
            elif question.name != "echo" and not read(
                    os.path.join(BENCH, built[1])).startswith("// The question"):
                problems.append(f"{built[1]} does not begin with the question")
    return problems


def cases_are_registered():
    """A case of a microbenchmark stands in its sources, and in each that lists cases at all."""
    problems = []
    sources = {path: read(path) for pattern in ("*.[ch]pp", "peers/*.cpp", "peers/*.go")
               for path in glob.glob(os.path.join(BENCH, pattern))}
    for question, case in cases():
        if case.method is not measure.microbenchmark:
            continue
        lists = [path for path, text in sources.items() if f'"{question.name}/' in text]
        missing = [os.path.basename(path) for path in lists
                   if f'"{case.name}"' not in sources[path]]
        if missing or not lists:
            problems.append(f"{case.name} is missing in {missing or 'every source'}")
    return problems


CHECKS = (
    ("every target has a row, and somebody to be compared with", targets_have_rows),
    ("every run asks every contender", everybody_is_asked),
    ("a contender is not asked beyond its limit", limits_are_kept),
    ("the points of a curve belong together", curves_have_points),
    ("every contender is built, from a source that names its question", programs_are_built),
    ("every case is in the programs", cases_are_registered),
)
