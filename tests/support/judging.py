"""Decides from the end of a program and its test log which test cases passed."""

import fnmatch
import os

from . import testlog

# What a program that is no doctest program exits with when it cannot run here, as in meson.
SKIPPED_STATUS = 77

# How much of its output explains a case at the end of a run.
EXPLAINING_LINES = 40
EXPLAINING_COLUMNS = 200


def judge_log(name, finished, log, may_be_empty):
    """The test cases of a program that writes the test log.

    Beyond the cases themselves, the program as a whole must have come to its end, have counted
    what the log counts, and have exited with success exactly when no case failed. `may_be_empty`:
    a filter was given, so that no case at all is no failure.
    """
    cases = log.cases
    for case in cases:
        if case.outcome == "running":
            case.outcome = "failed"
            case.reason = f"the program {finished.how()} in this case"
    failures = sum(case.outcome == "failed" for case in cases)
    problem = None
    if log.done is None and failures == 0:
        problem = f"{finished.how()} before its end"
    elif log.done is not None and log.done != (len(cases), failures):
        problem = f"counts {log.done} cases and failures, its log ({len(cases)}, {failures})"
    elif failures == 0 and finished.status != 0:
        problem = f"{finished.how()} although no test case failed"
    elif not cases and not may_be_empty:
        problem = "holds no test case"
    if problem:
        cases.append(testlog.Case(f"the program {name}", "failed", 0.0, problem))
    return cases


def judge_exit(name, finished):
    """The one test case that a program without a test log counts as: its exit status decides."""
    if finished.status == 0 and not finished.timed_out:
        return [testlog.Case(name, "passed", finished.seconds)]
    if finished.status == SKIPPED_STATUS:
        reasons = [line[6:] for line in finished.output.splitlines() if line[:6] == "SKIP: "]
        return [testlog.Case(name, "skipped", finished.seconds, "; ".join(reasons) or "no reason")]
    return [testlog.Case(name, "failed", finished.seconds, finished.how())]


def explain(where, case, output):
    """The lines to print at the end of a run about a case that failed, behind `failed: `.

    They repeat a part of what was printed when it failed, since that may be far above, and cut off
    where only the end of a log is kept: from where the output names the case, else its end.
    """
    lines = output.rstrip().splitlines()
    named = (number for number, line in enumerate(lines) if case.name in line)
    first = next(named, max(0, len(lines) - EXPLAINING_LINES))
    shown = [line[:EXPLAINING_COLUMNS] for line in lines[first:first + EXPLAINING_LINES]]
    return [f"failed: {where}: {case.name}" + (case.reason and f": {case.reason}"),
            *(f"failed: | {line}" for line in shown)]


class AllowedSkips:
    """The reasons for which a test case may be skipped, from tests/allowed_skips.txt."""

    def __init__(self, path):
        self.patterns = []
        with open(path, encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                pattern, mark, why = line.strip().partition("  # ")
                if not pattern or pattern[0] == "#":
                    continue
                if not mark or not why.strip():
                    where = f"{os.path.basename(path)}:{number}"
                    raise ValueError(f"{where}: a pattern needs its why: pattern  # why")
                self.patterns.append(pattern)

    def enforce(self, cases):
        """Turns every skip whose reason is not on the list into a failure."""
        for case in cases:
            allowed = any(fnmatch.fnmatchcase(case.reason, pattern) for pattern in self.patterns)
            if case.outcome == "skipped" and not allowed:
                case.outcome = "failed"
                case.reason = f"skipped for a reason not in tests/allowed_skips.txt: {case.reason}"
