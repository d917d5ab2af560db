"""What is checked of the figures: how they are read, and what is computed from them."""

import os
import tempfile

import measure
import questions
import report
from fixtures import CASES, contender


def statistics_are_right():
    """Medians, intervals and ratios of samples whose answer is known."""
    problems = []
    # Of 21 values the sixth from either end: the binomial distribution leaves 2.7 % outside.
    if report.interval_of_median(range(1, 22)) != (6, 16):
        problems.append(f"21 values: {report.interval_of_median(range(1, 22))}")
    if report.interval_of_median([3, 1, 2]) != (1, 3):
        problems.append("three values have no narrower interval than all of them")
    row = report.make_row("r", contender("Peer"), "ns", [10, 20, 40], [1, 4, 2])
    if (row.median, row.min, row.ratio, row.ratio_low, row.ratio_high) != (20, 10, 0.1, 0.05, 0.2):
        problems.append(f"ratios are not taken within rounds: {row}")
    if report.make_row("r", contender("Peer"), "ns", [0, 1], [1, 1]).ratio is not None:
        problems.append("a ratio to nothing")
    figures = {0: "0", 0.00001: "0.0000100", 0.00094: "0.000940",
               0.000938: "0.000938", 0.9996: "1.00", 9.999: "10.0", -0.5: "-0.500",
               1e-9: "1.00e-09", 99.96: "100", 1.234: "1.23", 12.34: "12.3", 1234.5: "1234",
               0.0123: "0.0123"}
    problems += [f"{value} is written as {report.figure(value)}" for value, text in figures.items()
                 if report.figure(value) != text]
    return problems


def answers_are_read():
    """A program's figures are taken by name; one that it leaves out does not apply."""
    case = questions.Case("c", "", (questions.Metric("ns", "a"), questions.Metric("ns", "b")),
                          options=("1",))
    problems = []
    with tempfile.TemporaryDirectory(prefix="heddle-bench-") as folder:
        setting = measure.Setting(folder, min(os.sched_getaffinity(0)), 0, 1, 1, 1, 1, 1, 10)
        path = os.path.join(folder, "program")
        for body, expected in (('echo \'{"b": 2, "a": \'"$1"}', [1, 2]),
                               ("echo '{\"a\": 1}'", [1, None]),
                               ("echo '{\"c\": 1}'", measure.Failed),
                               ("echo '{}'", measure.Failed),
                               ("echo no answer", measure.Failed),
                               ("exit 1", measure.Failed),
                               ("echo because >&2; exit 3", measure.NotHere)):
            with open(path, "w", encoding="utf-8") as file:
                file.write(f"#!/bin/sh\n{body}\n")
            os.chmod(path, 0o755)
            try:
                answer = measure.program(case, path, setting)
            except (measure.Failed, measure.NotHere) as error:
                answer = type(error)
            if answer != expected:
                problems.append(f"{body}: {answer}, not {expected}")
    return problems


def calls_are_found_by_their_heading():
    """strace's total of calls, whatever stands in the columns beside it."""
    rule = "------ ----------- ----------- --------- --------- ----------------"
    heading = "% time     seconds  usecs/call     calls    errors syscall"
    problems = []
    for head, total, wanted in (
            (heading, "100.00    0.000123           4        29         1 total", 29),
            (heading, "100.00    0.000123           4        29           total", 29),
            (heading, "100.00    0.000123                  1029         1 total", 1029),
            ("     calls    errors syscall", "        29         1 total", 29),
            (heading, "100.00    0.000123                               1 total", None),
            (heading, "", None), ("", "100.00    0.000123           4        29 total", None)):
        try:
            found = measure.total_calls(f"{head}\n{rule}\n{total}\n")
        except measure.Failed:
            found = None
        if found != wanted:
            problems.append(f"{total!r} below {head!r}: {found}")
    return problems


def targets_do_not_vanish():
    """A target without a row is open, with the reason, and is counted."""
    texts = {name: CASES[name]["targets"][-1] for name in (
        "a target that was not asked", "everybody failed", "a ratio to zero")}
    wanted = {"a target that was not asked": "other: not asked",
              "everybody failed": "thing/some: no answer from heddle",
              "a ratio to zero": "thing/some: no ratio, for Peer has a zero"}
    problems = [f"{name}: {one['verdict']}, {one['text']}" for name, one in texts.items()
                if (one["verdict"], one["text"]) != ("open", wanted[name])]
    count = report.count_verdicts(CASES["a target that was not asked"]["targets"])
    if count != "1 met, 1 open (1 not asked)":
        problems.append(f"counted as {count}")
    return problems


CHECKS = (
    ("strace's calls are found by their heading", calls_are_found_by_their_heading),
    ("targets without a row are open, and counted", targets_do_not_vanish),
    ("the statistics are right", statistics_are_right),
    ("answers are read by name", answers_are_read),
)
