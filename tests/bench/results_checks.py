"""What is checked of bench/RESULTS.md, the committed text."""

import json
import os
import re
import subprocess
import tempfile

import markdown
import page
import questions
import report
from fixtures import CASES, CURVES, ROOT, around, contender, made_up


def cells_of(line):
    """The cells of a row of a Markdown table; escaped bars do not part cells."""
    return [cell.strip().replace("\\", "") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def section(text, head):
    """What stands below a head of the second level, up to the next one."""
    return text.split(f"\n## {head}", 1)[1].split("\n## ", 1)[0]


def results_are_well_formed():
    """Each table has as many cells in every line, and the text is the same when made again."""
    problems = []
    for name, results in (CASES | CURVES).items():
        results = json.loads(report.as_json(results))
        text = markdown.document(results)
        if text != markdown.document(json.loads(report.as_json(results))):
            problems.append(f"{name}: made again it differs")
        width = 0
        for line in text.splitlines():
            count = len(cells_of(line)) if line.startswith("|") else 0
            if width and count and count != width:
                problems.append(f"{name}: {count} cells instead of {width}: {line}")
            width = count
        unescaped = re.findall(r"(?<!\\)<b onload", text)
        problems += [f"{name}: a name becomes markup"] if unescaped else []
    return problems


def results_keep_everything():
    """Every row, verdict, absence, note and fact stands in the text."""
    problems = []
    for name, results in (CASES | CURVES).items():
        text = markdown.document(json.loads(report.as_json(results)))
        flat = re.sub(r"\\(.)", r"\1", text)
        rows = [cells_of(line) for line in section(text, "All").splitlines()
                if line.startswith("|")]
        for row in results["rows"]:
            who = " ".join(markdown.full_name(row).replace("\\", "").split())
            wanted = [who, report.figure(row["median"]), report.figure(row["min"])]
            if wanted not in [cells[:3] for cells in rows]:
                problems.append(f"{name}: not there: {wanted}")
        said = [absent["reason"] for one in results["tables"] for absent in one["absent"]]
        said += results["notes"] + results["problems"]
        said += [verdict["text"].partition(": ")[2] for verdict in results["targets"]]
        said += [value for _, value in report.header_facts(results["header"])]
        problems += [f"{name}: not said: {words}" for words in said
                     if " ".join(words.split()) not in flat]
    return problems


# heddle against three peers and a floor: who wins, by how the figures were made.
STANDINGS = {"Better peer": around(3), "Even peer": around(4.01), "Worse peer": around(6)}


def losses_are_shown():
    """A row that heddle loses and a target that it misses stand in the section of losses."""
    samples = {("heddle", "heddle"): around(4), ("floor", "floor"): around(1),
               **{(name, "peer"): figures[::-1] for name, figures in STANDINGS.items()}}
    problems = []
    results = made_up(samples, targets=(questions.Target("thing/some", 3.5),
                                        questions.Target("thing/some", 5)),
                      absent=(("heddle", "failed: hung"),))
    lost = section(markdown.document(results), "Where heddle loses")
    for wanted, there in (("Better peer", True), ("Even peer", False), ("Worse peer", False),
                          ("floor", False), ("at most 3.5", True), ("at most 5", False),
                          ("failed: hung", True)):
        if (wanted in lost) != there:
            problems.append(f"{wanted} is {'not ' if there else ''}among the losses")
    marks = {cells_of(line)[0]: cells_of(line)[-1]
             for line in markdown.document(results).splitlines() if line.startswith("| ")}
    for name, wanted in (("Better peer", markdown.LOSES), ("Even peer", markdown.EVEN),
                         ("Worse peer", ""), ("floor (floor)", "")):
        if marks.get(name) != wanted:
            problems.append(f"{name} is marked {marks.get(name)!r}")
    for table in results["tables"]:
        table["better"] = "more"
    if "Worse peer" not in section(markdown.document(results), "Where heddle loses"):
        problems.append("where more is better the larger figure does not win")
    zeros = made_up({("heddle", "heddle"): [3, 3, 3], ("Peer", "peer"): [0, 0, 0]})
    if "Peer" not in section(markdown.document(zeros), "Where heddle loses"):
        problems.append("a loss against zero is not shown")
    wins = made_up({("heddle", "heddle"): around(4), ("Peer", "peer"): around(9)})
    if "Nowhere" not in section(markdown.document(wins), "Where heddle loses"):
        problems.append("a win is called a loss")
    return problems


def committed_results_are_generated():
    """bench/RESULTS.md is what the generator makes of bench/RESULTS.json."""
    texts = {}
    for name in ("RESULTS.json", "RESULTS.md"):
        path = os.path.join(ROOT, "bench", name)
        if os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                texts[name] = file.read()
    if not texts:
        return []
    if len(texts) == 1:
        return [f"there is only {next(iter(texts))}"]
    results = json.loads(texts["RESULTS.json"])
    problems = []
    if report.as_json(results) != texts["RESULTS.json"]:
        problems.append("RESULTS.json was not written by bench/run")
    if markdown.document(results) != texts["RESULTS.md"]:
        problems.append("RESULTS.md differs: bench/markdown.py bench/RESULTS.json "
                        "> bench/RESULTS.md makes it again")
    for row in results["rows"]:
        made = report.make_row(row["question"], contender(row["contender"], row["kind"]),
                               row["unit"], row["samples"], None)
        if (made.median, made.min, made.spread) != (row["median"], row["min"], row["spread"]):
            problems.append(f"{row['question']}: {row['contender']}: not the figures of its "
                            "samples")
    return problems


def made_again():
    """page.py and markdown.py make the same from results.json as bench/run does."""
    results = CURVES["a curve"]
    problems = []
    with tempfile.NamedTemporaryFile("w", prefix="heddle-bench-", suffix=".json") as file:
        file.write(report.as_json(results))
        file.flush()
        for name, expected in (("page.py", page.page(results)),
                               ("markdown.py", markdown.document(results))):
            printed = subprocess.run([os.path.join(ROOT, "bench", name), file.name],
                                     stdin=subprocess.DEVNULL, capture_output=True, text=True,
                                     check=False).stdout
            problems += [f"{name}: it differs"] if printed != expected else []
    return problems


def few_rounds_are_shown():
    """A row of few rounds says how many and what its brackets are, and what is concluded of it is
    called unsure; a run of enough says nothing."""
    problems = []
    for rounds, said, mark in ((1, "1 round: no interval", " (unsure: 1 round)"),
                               (3, "3 rounds: brackets are the extremes", " (unsure: 3 rounds)"),
                               (6, "6 rounds", ""), (21, "", "")):
        results = made_up({("heddle", "heddle"): [4] * rounds, ("Peer", "peer"): [3] * rounds},
                          rounds=21)
        if report.say_rounds([rounds, rounds], 21) != said:
            problems.append(f"{rounds} rounds: {report.say_rounds([rounds, rounds], 21)}")
        for name, text in (("the text", markdown.document(results)),
                           ("the page", page.page(results))):
            if said and f"; {said}" not in text:
                problems.append(f"{rounds} rounds are not said in {name}")
        if f"| {markdown.LOSES}{mark} |" not in markdown.document(results):
            problems.append(f"{rounds} rounds: no mark with {mark!r}")
    if report.say_rounds([3, 5], 21) != "3 to 5 rounds: brackets are the extremes":
        problems.append("rows of different rounds")
    return problems


CHECKS = (
    ("rows of few rounds say so", few_rounds_are_shown),
    ("the committed text is well-formed, and the same each time", results_are_well_formed),
    ("the committed text keeps every row and every word", results_keep_everything),
    ("rows that are lost and targets that are missed are shown as such", losses_are_shown),
    ("bench/RESULTS.md is what the generator makes of its samples",
     committed_results_are_generated),
    ("page and text can be made again from results.json", made_again),
)
