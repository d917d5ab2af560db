"""The test log: how a test program tells tests/run what it ran.

The program finds the path of the log in HEDDLE_TEST_LOG and appends lines to it, each at once,
fields separated by tabs:

    begin <name>               a test case starts
    skip <reason>              it says why it cannot run here
    end passed|failed <s>      it has ended, after so many seconds
    done <cases> <failed>      the program has run everything it was asked to

A case that began and did not end was running when the program died, and counts as failed. The
doctest programs write it from tests/support/test_main.cpp, the checks in Python with Writer.
"""

import os
import time
from dataclasses import dataclass


@dataclass
class Case:
    """One test case: what it is called and how it went."""

    name: str
    outcome: str = "running"  # passed, failed, skipped, or running: it has not ended
    seconds: float = 0.0
    reason: str = ""  # why it was skipped, or failed where the program itself does not say


@dataclass
class Log:
    """What one run of a program reported."""

    cases: list
    done: tuple  # (cases, failed) by the program's own count, or None


def read(path):
    """Reads the log at `path`; one that does not exist is empty."""
    log = Log([], None)
    if not os.path.exists(path):
        return log
    with open(path, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            verb, *fields = line.rstrip("\n").split("\t")
            if verb == "begin":
                log.cases.append(Case("\t".join(fields)))
            elif verb == "skip" and log.cases:
                log.cases[-1].reason = "\t".join(fields)
            elif verb == "end" and log.cases:
                case = log.cases[-1]
                case.outcome, case.seconds = fields[0], float(fields[1])
                if case.reason and case.outcome == "passed":
                    case.outcome = "skipped"
            elif verb == "done":
                log.done = (int(fields[0]), int(fields[1]))
    return log


class Writer:
    """Runs the named checks of a Python program, prints how each went, and writes the log."""

    def __init__(self):
        self.path = os.environ.get("HEDDLE_TEST_LOG")
        self.cases = 0
        self.failed = 0

    def check(self, name, function):
        """Calls `function`, which returns the problems that it found as a list of lines.

        Returns whether there were none.
        """
        self._write("begin", name)
        started = time.monotonic()
        problems = function()
        seconds = time.monotonic() - started
        for problem in problems:
            print(problem)
        outcome = "failed" if problems else "passed"
        print(f"{outcome}: {name} ({seconds:.1f} s)", flush=True)
        self.cases += 1
        self.failed += bool(problems)
        self._write("end", outcome, f"{seconds:.3f}")
        return not problems

    def finish(self):
        """Closes the log and returns the exit status of the program."""
        self._write("done", str(self.cases), str(self.failed))
        return 1 if self.failed else 0

    def _write(self, *fields):
        if self.path:
            with open(self.path, "a", encoding="utf-8") as log:
                log.write("\t".join(fields) + "\n")
