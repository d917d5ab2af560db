"""What is checked of bench/compare: what it finds, what it leaves alone, and what it refuses."""

import copy
import importlib.machinery
import importlib.util
import json
import os
import random
import subprocess
import tempfile

import report
from fixtures import CURVES, ROOT, USUAL, made_up

PATH = os.path.join(ROOT, "bench", "compare")
LOADER = importlib.machinery.SourceFileLoader("compare", PATH)
compare = importlib.util.module_from_spec(importlib.util.spec_from_loader("compare", LOADER))
LOADER.exec_module(compare)


def run(*texts):
    """bench/compare of two files with these texts; a text of None is a file that does not exist."""
    with tempfile.TemporaryDirectory(prefix="heddle-bench-") as folder:
        paths = [os.path.join(folder, name) for name in ("a.json", "b.json")]
        for path, text in zip(paths, texts):
            if text is not None:
                with open(path, "w", encoding="utf-8") as file:
                    file.write(text)
        return subprocess.run([PATH, *paths], stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, check=False)


def compared(first, second):
    """What bench/compare prints of two results."""
    result = run(report.as_json(first), report.as_json(second))
    return result.stdout if result.returncode == 0 else f"failed: {result.stderr}"


def noisy(source, rounds, rows, drift=1.0, heddle=1.0, spread=0.04, **header):
    """Results of many rows of heddle, two peers and a floor, which scatter and have drifted."""
    whole = None
    for number in range(rows):
        middle = {("heddle", "heddle"): 4 * heddle, ("Peer", "peer"): 50, ("Other", "peer"): 7,
                  ("pointers", "floor"): 1}
        samples = {who: [figure * drift * source.lognormvariate(0, spread) for _ in range(rounds)]
                   for who, figure in middle.items()}
        one = made_up(samples, row=f"thing/{number}", **header)
        if whole is None:
            whole = one
        else:
            whole["rows"] += one["rows"]
            whole["tables"] += one["tables"]
    return whole


def found(text):
    """How many of heddle's rows are said to differ, and the lines that say so."""
    head, _, rest = text.partition("Beyond the noise: ")
    return int(rest.split()[0]), [line.split()[0] for line in rest.splitlines()[1:]
                                  if line.startswith("  ") and "thing/" in line]


def intervals_are_exact():
    """The rank of the interval is that of Mann and Whitney's tables, and the interval holds the
    truth as often as it says."""
    problems = []
    # Two-sided 1 %: the critical values are 0 for 5 and 5, 2 for 6 and 6, 16 for 10 and 10, 105
    # for 20 and 20; U may be as much, so one more difference lies outside.
    for first, second, critical in ((5, 5, 0), (6, 6, 2), (10, 10, 16), (20, 20, 105), (6, 10, 6)):
        if compare.rank_outside(first, second) != critical + 1:
            problems.append(f"{first} and {second}: {compare.rank_outside(first, second)} outside")
    for first, second in ((1, 1), (1, 21), (3, 3), (4, 4)):
        if compare.rank_outside(first, second) is not None:
            problems.append(f"{first} and {second} samples have an interval")
    move = compare.compare_samples([1.0, 1.1, 1.2, 1.3, 1.4, 1.5], [2.0, 2.2, 2.4, 2.6, 2.8, 3.0])
    if abs(move.middle - 2) > 0.02 or not move.low < 2 < move.high:
        problems.append(f"twice as much is {move}")
    # Of five and five samples no difference lies outside: the interval ends with the extremes.
    ends = compare.compare_samples([1, 2, 3, 4, 5], [10, 20, 30, 40, 50])
    if abs(ends.low - 10 / 5) > 1e-9 or abs(ends.high - 50 / 1) > 1e-9:
        problems.append(f"of five and five samples the extremes are {ends.low} and {ends.high}")
    source = random.Random(1)
    missed = 0
    for _ in range(500):
        before = [source.lognormvariate(0, 0.1) for _ in range(9)]
        after = [source.lognormvariate(0.2, 0.1) for _ in range(9)]
        move = compare.compare_samples(before, after)
        missed += not move.low <= 1.2214 <= move.high  # e to the power of 0.2
    if missed > 13:
        problems.append(f"{missed} of 500 intervals of 99 % do not hold the truth")
    return problems


def differences_are_found():
    """A change of 15 % in noise of 4 % is found, with its direction, and peers are not blamed."""
    problems = []
    for heddle, better, word in ((0.85, "less", "better"), (1.18, "less", "worse"),
                                 (1.18, "more", "better"), (0.85, "more", "worse"),
                                 (0.85, "", "different")):
        source = random.Random(2)
        first, second = noisy(source, 21, 5), noisy(source, 21, 5, heddle=heddle)
        for table in first["tables"] + second["tables"]:
            table["better"] = better
        count, words = found(compared(first, second))
        if (count, words) != (5, [word] * 5):
            problems.append(f"×{heddle}, {better or 'neither'} is better: {count}, {words}")
    first = made_up({("heddle", "heddle"): [0.0] * 6, ("Peer", "peer"): [0.0] * 6})
    second = made_up({("heddle", "heddle"): [3.0] * 6, ("Peer", "peer"): [0.0] * 6})
    text = compared(first, second)
    if found(text) != (1, ["worse"]) or "+3.00" not in text:
        problems.append(f"from nothing to three is not found: {text}")
    return problems


def noise_is_left_alone():
    """What scatters, what the machine did to all, and what is below 1 % are no differences."""
    problems = []
    for rounds, spread in ((6, 0.02), (21, 0.2)):
        source = random.Random(3)
        for drift in (1.0, 1.15):
            text = compared(noisy(source, rounds, 100, spread=spread),
                            noisy(source, rounds, 100, drift, spread=spread))
            if found(text)[0] > 2:
                problems.append(f"{rounds} rounds, spread {spread}, all moved by {drift}: "
                                f"{found(text)[0]} of 100 differ")
    source = random.Random(4)
    small = compared(noisy(source, 21, 20, spread=1e-5), noisy(source, 21, 20, heddle=1.009,
                                                               spread=1e-5))
    if found(small)[0] != 0:
        problems.append("less than 1 % is a difference")
    if found(compared(CURVES["a curve"], CURVES["a curve"]))[0] != 0:
        problems.append("a file differs from itself")
    return problems


def few_rounds_are_said():
    """With too few rounds nothing is judged; what is apart is listed as such."""
    first, second = (made_up({("heddle", "heddle"): [figure] * 3, ("Peer", "peer"): [5] * 3})
                     for figure in (4, 6))
    text = compared(first, second)
    problems = [] if found(text)[0] == 0 else ["three rounds suffice"]
    if "(too few rounds)" not in text or "  worse?    thing/some: 4.00 → 6.00" not in text:
        problems.append(f"it is not said that rounds are too few: {text}")
    return problems


def other_settings_are_announced():
    """Another machine is announced, and heddle judged by what the others moved by; one commit
    beside another is what the program is for."""
    problems = []
    source = random.Random(5)
    first = noisy(source, 21, 5)
    for name, value in (("machine", "4 x Other"), ("kernel", "Linux 9"), ("compiler", "c++ 13"),
                        ("libraries", "Boost 1.74"), ("huge pages", "always"),
                        ("benchmark_seconds", 9)):
        text = compared(first, noisy(source, 21, 5, **{name: value}))
        if f"WARNING: the runs differ in {name}" not in text:
            problems.append(f"another {name} is not announced")
    if "WARNING" in compared(first, noisy(source, 21, 5, commit="def456", date="2024-03-01")):
        problems.append("another commit is announced")
    slower = noisy(source, 21, 5, drift=2.0, machine="1 x Slow")
    if found(compared(first, slower))[0] != 0:
        problems.append("a slower machine is heddle's fault")
    gained = noisy(source, 21, 5, drift=2.0, heddle=0.7, machine="1 x Slow")
    if found(compared(first, gained)) != (5, ["better"] * 5):
        problems.append(f"what heddle gained there is not found: {found(compared(first, gained))}")
    return problems


def missing_rows_are_listed():
    """Rows that only one file has are named, and those of another unit are not compared."""
    first = made_up({**USUAL, ("Gone", "peer"): [1] * 6})
    second = made_up({**USUAL, ("New", "peer"): [1] * 6})
    second["rows"][-2]["unit"] = "us per thing"
    text = compared(first, second)
    wanted = "\nOnly in A:\n  thing/some: inline assembly, Gone\n\n" \
        "Only in B:\n  thing/some: inline assembly, New\n"
    problems = [] if wanted in text else [f"not listed: {text}"]
    if "inline assembly (floor)" in text:
        problems.append("nanoseconds are compared with microseconds")
    return problems


def bad_files_are_refused():
    """A file that is missing, no JSON or no result: exit status 2, its name and the reason."""
    good = report.as_json(made_up(USUAL))
    without = copy.deepcopy(made_up(USUAL))
    del without["rows"][0]["samples"]
    strange = copy.deepcopy(made_up(USUAL))
    strange["rows"][1]["samples"][0] = "fast"
    endless = json.loads(good)
    endless["rows"][1]["samples"][0] = float("nan")
    problems = []
    for text, reason in ((None, "No such file"), ("", "not JSON"), ("{", "not JSON"),
                         ("[]", "no header"), ('{"rows": []}', "no header"),
                         (report.as_json({**made_up(USUAL), "rows": []}), "no rows"),
                         (report.as_json({**made_up(USUAL), "tables": [1]}), "tables"),
                         (report.as_json(without), "without its samples"),
                         (report.as_json(strange), "not all numbers"),
                         (json.dumps(endless), "not all numbers")):
        for place, texts in (("a.json", (text, good)), ("b.json", (good, text))):
            result = run(*texts)
            if result.returncode != 2 or place not in result.stderr or reason not in result.stderr \
                    or "Traceback" in result.stderr:
                problems.append(f"{text and text[:20]!r} as {place}: {result.returncode}, "
                                f"{result.stderr[-300:]}")
    if run(good, good).returncode != 0:
        problems.append("a good file is refused")
    return problems


CHECKS = (
    ("intervals of a change hold what they say", intervals_are_exact),
    ("differences that were planted are found, with their direction", differences_are_found),
    ("noise, drift and trifles are no differences", noise_is_left_alone),
    ("too few rounds are said to be too few", few_rounds_are_said),
    ("other machines, compilers and settings are announced", other_settings_are_announced),
    ("rows of one file alone are listed", missing_rows_are_listed),
    ("files that are no results are refused with their reason", bad_files_are_refused),
)
