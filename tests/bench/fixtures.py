"""Results that nobody measured, with everything that may happen to a run, and a reader of pages.

One round, contenders that are missing or failed, names that are long or hold markup, figures of
zero, curves with holes: every check of what is made of results goes through all of them.
"""

import dataclasses
import html.parser
import json
import os

import growth
import page
import questions
import report

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))

VOID = {"meta", "link", "br", "hr", "img", "input"}
HOSTILE = 'a <b onload="x">&amp; "peer" \'of\' no library</b>'
LONG = "a contender whose name is much longer than any that a telephone has room for in one line"


class Reader(html.parser.HTMLParser):
    """A document as a list of (tag, attributes, own text), and what is wrong with its form."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.problems = []
        self.elements = []
        self.open = []
        self.feed(text)
        self.close()
        self.problems += [f"<{tag}> is never closed" for tag, _ in self.open]

    def handle_starttag(self, tag, attributes):
        names = [name for name, _ in attributes]
        if len(names) != len(set(names)):
            self.problems.append(f"<{tag}> has an attribute twice: {names}")
        element = [tag, dict(attributes), ""]
        self.elements.append(element)
        if tag not in VOID:
            self.open.append((tag, element))

    def handle_startendtag(self, tag, attributes):
        self.elements.append([tag, dict(attributes), ""])

    def handle_endtag(self, tag):
        if not self.open or self.open[-1][0] != tag:
            self.problems.append(f"</{tag}> closes {self.open[-1:]}")
        else:
            self.open.pop()

    def handle_data(self, data):
        for _, element in self.open:
            element[2] += data

    def all(self, tag, **wanted):
        return [(attributes, text) for name, attributes, text in self.elements if name == tag
                and all(value in (attributes.get(key) or "").split()
                        for key, value in wanted.items())]

    def texts(self, tag, **wanted):
        return [text.strip() for _, text in self.all(tag, **wanted)]


def contender(name, kind="peer"):
    return questions.Contender(name, "none", kind)


def made_up(samples, unit="ns per thing", row="thing/some", absent=(), targets=(), **header):
    """Results of one metric; `samples` is {(name, kind): figures}."""
    heddle = samples.get(("heddle", "heddle"))
    rows = [report.make_row(row, contender(*who), unit, figures, heddle)
            for who, figures in samples.items()]
    by_name = {(row, one.contender): one for one in rows}
    verdicts = []
    for target in targets:
        verdicts.append(report.verdict_of(target, report.judge(target, by_name, {row})))
    return {
        "header": {"machine": "2 x Some CPU", "kernel": "Linux 1.2.3", "compiler": "c++ 12",
                   "commit": "abc123", "date": "2024-02-29 12:00 UTC", "load": "0.10",
                   "command": "bench/run thing", **header},
        "targets": verdicts, "notes": [], "problems": [],
        "tables": [{"question": "thing", "row": row, "text": "some thing", "unit": unit,
                    "better": "less", "absent": [{"contender": name, "reason": reason}
                                                 for name, reason in absent]}],
        "rows": [dataclasses.asdict(one) for one in rows]}


USUAL = {("heddle", "heddle"): [4.0, 4.2, 4.1, 3.9, 4.0, 4.0],
         ("Peer", "peer"): [50.1, 51.2, 49.3, 50.4, 58.5, 50.6],
         ("inline assembly", "floor"): [1.23, 1.24, 1.25, 1.26, 1.27, 1.28]}
TARGETS = (questions.Target("thing/some", 4, 0.08, "Peer"),)

# Everything that may be asked of the page, by name.
CASES = {
    "the usual": made_up(USUAL, targets=TARGETS),
    "a missed target": made_up(USUAL, targets=(questions.Target("thing/some", 3),)),
    "too few rounds for a verdict": made_up(
        USUAL, targets=(questions.Target("thing/some", None, 1, "Peer", rounds_min=21),)),
    "one round": made_up({who: figures[:1] for who, figures in USUAL.items()}, targets=TARGETS),
    "two rounds": made_up({who: figures[:2] for who, figures in USUAL.items()}),
    "missing and failed contenders": made_up(
        USUAL, absent=(("Go", "was not built"), (HOSTILE, "failed: " + HOSTILE))),
    "heddle failed": made_up({who: figures for who, figures in USUAL.items() if who[1] == "peer"},
                             absent=(("heddle", "failed: hung"),), targets=TARGETS),
    "everybody failed": made_up({}, absent=(("heddle", "failed: hung"),), targets=TARGETS),
    "a target that was not asked": made_up(USUAL, targets=(*TARGETS, questions.Target("other", 3))),
    "a ratio to zero": made_up({**USUAL, ("Peer", "peer"): [0] * 6}, targets=TARGETS),
    "hostile names": made_up({**USUAL, (HOSTILE, "peer"): [1, 2, 3, 4, 5, 6]}, unit=HOSTILE,
                             row="thing/" + HOSTILE, machine=HOSTILE, commit=HOSTILE,
                             command=HOSTILE),
    "long names": made_up({**USUAL, (LONG, "peer"): [1, 2, 3, 4, 5, 6]}),
    "zeros": made_up({who: [0] * 6 for who in USUAL},
                     targets=(questions.Target("thing/some", 0),)),
    "a zero beside large figures": made_up(
        {("heddle", "heddle"): [0, 0, 0], ("Peer", "peer"): [1, 1, 1],
         ("Other", "peer"): [90000, 91000, 92000]}, targets=(questions.Target("thing/some", 0),)),
    "less than nothing": made_up({("heddle", "heddle"): [-0.5, -0.4, 0.2],
                                  ("Peer", "peer"): [-3, 4, 5]}),
    "far apart": made_up({("heddle", "heddle"): [0.002, 0.0021, 0.0022],
                          ("Peer", "peer"): [7e6, 7.1e6, 7.2e6]}),
    "an outlier": made_up({**USUAL, ("Peer", "peer"): [50, 50, 50, 50, 50, 50, 50, 50, 5e5]}
                          | {("heddle", "heddle"): [4.0] * 9,
                             ("inline assembly", "floor"): [1.0] * 9}),
    "nothing asked": {**made_up({}), "tables": []},
    "notes and problems": {**made_up(USUAL, extent="quick"), "notes": ["noise " + HOSTILE],
                           "problems": ["thing: Peer: " + HOSTILE]},
}


# A machine whose levels are easily computed: 40, 160 and 10 000 fibers and so on.
MEMORY = {"page": 4096, "caches": [["L1d", 40 * growth.FIBER_BYTES],
                                   ["L2", 10000 * (growth.FIBER_BYTES + growth.ENTRY_BYTES)]],
          "tlb": [["first data TLB", 65], ["second data TLB", 650]], "tlb_told": True,
          "virtual": True}


def made_up_curve(lines, question="yield", metric="", unit="ns per yield", targets=(),
                  counted="fibers", **header):
    """Results of one curve; `lines` is {(name, kind): {fibers: figures}}."""
    made = {"header": {**made_up({})["header"], "memory": MEMORY, **header}, "targets": [],
            "notes": [], "problems": [], "tables": [], "rows": []}
    by_name = {}
    for fibers in sorted({fibers for line in lines.values() for fibers in line}):
        row = f"{question}/{fibers}_{counted}" + (f"/{metric}" if metric else "")
        for who, line in lines.items():
            if fibers in line:
                by_name[row, who[0]] = report.make_row(
                    row, contender(*who), unit, line[fibers],
                    lines.get(("heddle", "heddle"), {}).get(fibers), fibers,
                    f"{question}/{metric}" if metric else question)
        made["tables"].append({"question": question, "row": row, "text": "many", "unit": unit,
                               "better": "less", "absent": []})
    made["rows"] = [dataclasses.asdict(row) for row in by_name.values()]
    made["targets"] = [report.verdict_of(target, report.judge(target, by_name, ()))
                       for target in targets]
    return made


def around(middle, spread=0.02):
    """Six figures around one."""
    return [middle * (1 + spread * step) for step in (-1, -0.6, -0.2, 0.2, 0.6, 1)]


GROWING = {("heddle", "heddle"): {2: around(4), 100: around(4), 1000: around(8), 20000: around(9)},
           ("Peer", "peer"): {2: around(50), 100: around(60, 0.2), 1000: around(30),
                               20000: around(99)},
           ("pointers", "floor"): {2: around(1), 100: around(1), 1000: around(1),
                                   20000: around(1.1)}}

# Everything that may be asked of the curves, by name.
CURVES = {
    "a curve": made_up_curve(GROWING, targets=(
        questions.Target("yield/1000_fibers", 4, 0.2, "Peer"),)),
    "a curve of a metric": made_up_curve(
        {who: {fibers: figures for fibers, figures in line.items() if fibers > 50}
         for who, line in GROWING.items()}, "memory", "resident", "bytes in memory per fiber"),
    "a sum over all": made_up_curve(
        {("heddle", "heddle"): {100: around(2), 1000: around(21)},
         ("Peer", "peer"): {100: around(5), 1000: around(50)}}, "skynet", "ms", "ms for the tree",
        counted="leaves"),
    "a curve with holes": made_up_curve(
        {**GROWING, ("Go", "peer"): {100: around(9)}, ("pthreads", "peer"): {
            2: around(7), 1000: around(70)}}),
    "a curve of one round": made_up_curve(
        {who: {fibers: figures[:1] for fibers, figures in line.items()}
         for who, line in GROWING.items()}),
    "wide intervals": made_up_curve(
        {who: {fibers: around(figures[0], 0.9) for fibers, figures in line.items()}
         for who, line in GROWING.items()}),
    "zeros in a curve": made_up_curve(
        {**GROWING, ("Peer", "peer"): {2: [0] * 6, 100: [0, 0, 0, 1, 2, 3]}}),
    "nothing but zeros in a curve": made_up_curve(
        {who: {fibers: [0] * 6 for fibers in line} for who, line in GROWING.items()}),
    "equal figures in a curve": made_up_curve(
        {who: {fibers: [5] * 6 for fibers in line} for who, line in GROWING.items()}),
    "a curve of hostile names": made_up_curve(
        {**GROWING, (HOSTILE, "peer"): {2: around(3), 100: around(4)}}, HOSTILE,
        unit="ns " + HOSTILE),
    "a curve without heddle": made_up_curve(
        {who: line for who, line in GROWING.items() if who[1] != "heddle"}),
    "a machine that tells nothing": made_up_curve(
        GROWING, memory={"page": 4096, "caches": [], "tlb": [], "tlb_told": False,
                         "virtual": False}),
    "a curve of many": made_up_curve(
        {**GROWING, **{(f"Peer {number}", "peer"): {2: around(50 + number), 1000: around(60)}
                       for number in range(16)}}),
}


def each_page(inspect):
    """Calls inspect(results, reader, text) for the page of every case; returns its problems."""
    problems = []
    for name, results in (CASES | CURVES).items():
        # What the page is made of has been through JSON.
        results = json.loads(json.dumps(results))
        text = page.page(results)
        problems += [f"{name}: {problem}" for problem in inspect(results, Reader(text), text)]
    return problems
