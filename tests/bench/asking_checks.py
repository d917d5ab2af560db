"""What is checked of how a run asks: what becomes of answers that are wrong or missing, of Ctrl-C,
of the order, and of the files that are left."""

import contextlib
import importlib.machinery
import importlib.util
import io
import os
import tempfile
from unittest import mock

import asking
import files
import host
import measure
import page
import questions
import report
from fixtures import ROOT, USUAL, made_up

LOADER = importlib.machinery.SourceFileLoader("bench_run", os.path.join(ROOT, "bench", "run"))
bench_run = importlib.util.module_from_spec(importlib.util.spec_from_loader("bench_run", LOADER))
LOADER.exec_module(bench_run)

NAMES = ("heddle", "Peer", "Other", "ground")


def asked(method, rounds=6, metrics=("a", "b"), question="thing", count=1):
    """An Asking that has asked `count` questions of one case, which `method(case, name, round)`
    answers, and what was printed."""
    setting_folder = tempfile.TemporaryDirectory(prefix="heddle-bench-")
    calls = {}

    def answer(case, program, _):
        name = os.path.basename(program)
        key = (case.name, name)
        calls[key] = calls.get(key, 0) + 1
        return method(case, name, calls[key] - 1)

    with setting_folder as folder:
        for name in NAMES:
            with open(os.path.join(folder, name), "w", encoding="utf-8"):
                pass
        setting = measure.Setting(folder, 0, 0, rounds, 1, 1, 1, 1, 1)
        one = asking.Asking(setting, "default", 1)
        kinds = {"heddle": "heddle", "ground": "floor"}
        made = [questions.Question(
            f"{question}{number or ''}",
            (questions.Case(f"{question}{number or ''}/some", "some",
                            tuple(questions.Metric("ns", metric) for metric in metrics), answer),),
            tuple(questions.Contender(name, name, kinds.get(name, "peer")) for name in NAMES))
            for number in range(count)]
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            one.ask_all(made, lambda name: None)
    return one


def one_contender_costs_itself():
    """Whatever is raised or answered for one contender is its problem, named, and the others have
    their rows, heddle too."""
    def raises(error):
        def method(*_):
            raise error
        return method
    strange = {
        "a missing key": raises(KeyError("p50")), "no number": raises(ValueError("x")),
        "no program": raises(FileNotFoundError(2, "No such file")),
        "a failure": raises(measure.Failed("hung")),
        "a metric less": lambda *_: [1.0, None], "too few figures": lambda *_: [1.0],
        "text": lambda *_: [1.0, "fast"], "not a number": lambda *_: [1.0, float("nan")],
        "no list": lambda *_: None,
        "wrong in the third round": lambda _, __, number: [1.0, None if number == 2 else 1.0]}
    problems = []
    for what, wrong in strange.items():
        for who in ("heddle", "Peer"):
            def method(case, name, number, wrong=wrong, who=who):
                return wrong(case, name, number) if name == who else [2.0, 3.0]
            one = asked(method)
            if len(one.problems) != 1 or f"thing/some: {who}: " not in one.problems[0]:
                problems.append(f"{what} of {who}: the problems are {one.problems}")
            rows = [row for row, _ in one.rows]
            if len(rows) != 6 or any(name == who for _, name in one.rows):
                problems.append(f"{what} of {who}: the rows are {list(one.rows)}")
            absent = [who["contender"] for table in one.tables for who in table["absent"]]
            if absent != [who, who]:
                problems.append(f"{what} of {who}: absent are {absent}")
    return problems


def skipping_is_no_problem():
    """What the machine does not allow is said, and is nobody's fault."""
    def method(_, name, __):
        if name == "Peer":
            raise measure.NotHere("no tracefs")
        return [1.0, 2.0]
    one = asked(method)
    reasons = {who["reason"] for table in one.tables for who in table["absent"]}
    return [] if not one.problems and reasons == {"skipped: no tracefs"} else [
        f"problems {one.problems}, reasons {reasons}"]


def what_does_not_apply_is_declared():
    """A metric that is declared not to apply is absent with its reason; any other is a failure."""
    def method(_, name, __):
        return [1.0, None if name == "Peer" else 2.0]
    with mock.patch.dict(asking.DOES_NOT_APPLY, {("thing", "Peer", "b"): "it has none"}):
        one = asked(method)
    problems = [] if not one.problems else [f"the problems are {one.problems}"]
    absent = [table["absent"] for table in one.tables]
    if absent != [[], [{"contender": "Peer", "reason": "does not apply: it has none"}]]:
        problems.append(f"absent are {absent}")
    if ("thing/some/a", "Peer") not in one.rows:
        problems.append("what applies is lost")
    known = {(question.name, contender.name, metric.name) for question in questions.QUESTIONS
             for contender in question.contenders for case in question.cases
             for metric in case.metrics}
    return problems + [f"{one} is not asked" for one in asking.DOES_NOT_APPLY if one not in known]


def a_bug_costs_one_question():
    """An error of the harness itself is a problem, and the other questions are asked."""
    with mock.patch.object(report, "print_table", side_effect=[ZeroDivisionError("oops"), None]):
        one = asked(lambda *_: [1.0], metrics=("a",), count=2)
    if len(one.problems) == 1 and "oops" in one.problems[0] and ("thing1/some/a", "heddle") \
            in one.rows:
        return []
    return [f"problems {one.problems}, rows {list(one.rows)}"]


def interruption_keeps_whole_rounds():
    """Ctrl-C leaves the rounds that everybody was asked, marked as interrupted, and no later
    question is asked."""
    problems = []
    for stop, rows in ((3, 8), (0, 0)):
        def method(case, name, number, stop=stop):
            if name == "Other" and number == stop and case.name.startswith("thing1"):
                raise KeyboardInterrupt
            return [2.0, 3.0]
        one = asked(method, count=3)
        results = one.collect({"machine": "some"})
        mine = [row for row in results["rows"] if row["question"].startswith("thing1/")]
        if {len(row["samples"]) for row in mine} not in ({stop}, set()) or len(mine) != rows:
            problems.append(f"stopped in round {stop}: {mine}")
        if sum(row["question"].startswith("thing/") for row in results["rows"]) != 8:
            problems.append("what was answered before is lost")
        if any(table["question"] == "thing2" for table in results["tables"]):
            problems.append("it goes on after Ctrl-C")
        if results["header"].get("interrupted") != "in thing1" or not results["problems"]:
            problems.append(f"it is not marked: {results['header']}, {results['problems']}")
    return problems


def order_is_shuffled():
    """Each contender follows each other one about as often, comes first about as often, and one
    seed gives one order."""
    one = asked(lambda *_: [1.0, 1.0])
    case = questions.Case("thing/some", "", ())
    follows = {}
    rounds = 600
    for number in range(rounds):
        order = one.order(case, NAMES, number)
        for pair in zip([None, *order], order):
            follows[pair] = follows.get(pair, 0) + 1
    # Four first places, and of the twelve pairs each in three of twelve places.
    problems = [f"{pair}: {count} times in {rounds}" for pair, count in follows.items()
                if not rounds / 6 < count < rounds / 3]
    if len(follows) != 16:
        problems.append(f"{len(follows)} of 16 neighbourhoods")
    other = asking.Asking(one.setting, "default", 2)
    orders = [[each.order(case, NAMES, number) for number in range(20)]
              for each in (one, one, other)]
    if orders[0] != orders[1] or orders[0] == orders[2]:
        problems.append("the seed does not decide")
    return problems


def files_are_written_whole():
    """An error while writing leaves all old files as they were, and nothing else behind."""
    problems = []
    with tempfile.TemporaryDirectory(prefix="heddle-bench-") as folder:
        paths = [os.path.join(folder, name) for name in ("a", "b")]
        files.write({path: "old" for path in paths})
        try:
            files.write({paths[0]: "new", paths[1]: None})
            problems.append("no error")
        except TypeError:
            pass
        for path in paths:
            with open(path, encoding="utf-8") as file:
                if file.read() != "old":
                    problems.append(f"{os.path.basename(path)} is not as it was")
        if sorted(os.listdir(folder)) != ["a", "b"]:
            problems.append(f"the folder holds {os.listdir(folder)}")
    return problems


def outcome(method, *arguments):
    """(exit status, files that were written by name, what was printed) of bench/run when its only
    contenders answer like `method`."""
    made = asked(method)
    made.ask_all = lambda *_: None
    written = {}
    printed = io.StringIO()
    with mock.patch.object(host, "provide", lambda: True), \
            mock.patch.object(bench_run, "build", lambda stages: True), \
            mock.patch.object(asking, "Asking", lambda *_: made), \
            mock.patch.object(files, "write", written.update), \
            mock.patch("sys.argv", ["run", "--output", "somewhere", *arguments]), \
            contextlib.redirect_stdout(printed):
        status = bench_run.main()
    return status, [os.path.relpath(path, ROOT) for path in written], printed.getvalue()


def runs_say_how_they_ended():
    """The exit status is 0 for a run without problems only, results go where they are asked to,
    and an interrupted run writes nothing that belongs to the repository."""
    def interrupt(_, name, number):
        if (name, number) == ("Other", 3):
            raise KeyboardInterrupt
        return [1.0, 1.0]
    own = [os.path.relpath(os.path.join("somewhere", name), ROOT)
           for name in ("results.json", "report.html")]
    committed = ["bench/RESULTS.json", "bench/RESULTS.md"]
    problems = []
    for what, method, arguments, wanted in (
            ("a good run", lambda *_: [1.0, 1.0], (), (0, own)),
            ("a good run", lambda *_: [1.0, 1.0], ("--results",), (0, own + committed)),
            ("a failure", lambda _, name, __: [1.0, 1.0][name == "Peer":], (), (1, own)),
            ("Ctrl-C", interrupt, ("--results",), (130, own))):
        status, written, printed = outcome(method, *arguments)
        if (status, written) != wanted:
            problems.append(f"{what} {arguments}: {status}, {written}")
        if ("PROBLEM" in printed) != (status != 0):
            problems.append(f"{what}: printed {printed[-300:]}")
    _, _, few = outcome(lambda *_: [1.0, 1.0], "--results", "--rounds", "5")
    if "Asked in 5 rounds, where a full run takes 21" not in few:
        problems.append("--results with few rounds has no remark")
    return problems


def old_files_are_refused():
    """A file from before has its reason in one line, and is not half a page."""
    problems = []
    with tempfile.TemporaryDirectory(prefix="heddle-bench-") as folder:
        path = os.path.join(folder, "results.json")
        good = made_up(USUAL)
        rows = [{key: value for key, value in row.items() if key != "ratio"}
                for row in good["rows"]]
        for text, reason in (("", "Expecting value"), ("[]", "no result"),
                             (report.as_json({"header": {}}), "it lacks targets, tables, rows"),
                             (report.as_json({**good, "rows": rows}), "the ratio of its rows"),
                             (report.as_json(good), "")):
            files.write({path: text})
            try:
                page.page(files.load(path))
                said = ""
            except SystemExit as error:
                said = str(error)
            if (reason not in said) or bool(said) != bool(reason) or "\n" in said:
                problems.append(f"{text[:20]!r}: {said!r}")
    return problems


def libraries_are_not_vital():
    """A run goes on without a library, and not without a compiler."""
    problems = []
    for vital in (False, True):
        needs = (host.Need("libmissing-dev", file="/none/missing.h", vital=vital),)
        with mock.patch.object(host, "NEEDS", needs), \
                mock.patch("os.geteuid", lambda: 1000), \
                contextlib.redirect_stdout(io.StringIO()) as printed:
            if host.provide() == vital:
                problems.append(f"vital {vital}: {host.provide()}")
        if "apt-get install -y --no-install-recommends --no-remove libmissing-dev" \
                not in printed.getvalue():
            problems.append("no line to paste")
    return problems


def machine_is_described():
    """Compiler and libraries are those of the build folder, and a group's limit bounds memory."""
    problems = []
    with tempfile.TemporaryDirectory(prefix="heddle-bench-") as root:
        def put(path, text):
            files.write({os.path.join(root, path): text})
        put("compile_commands.json", '[{"command": "echo some compiler -c x.cpp"}]')
        put("meson-info/intro-dependencies.json", '[{"name": "boost", "version": "1.2.3"}]')
        with mock.patch.dict(os.environ, {"CXX": "other"}):
            if host.describe_compiler(root) != "some compiler --version":
                problems.append(f"the compiler is {host.describe_compiler(root)}")
        if not host.describe_libraries(root).startswith("Boost 1.2.3"):
            problems.append(f"the libraries are {host.describe_libraries(root)}")
        if host.describe_compiler(f"{root}/none") != "unknown":
            problems.append("a compiler without a build")
        put("proc/meminfo", "MemAvailable: 8192 kB")
        for kinds, top, limit, used in (("0:", "", "max", "current"),
                                        ("4:memory", "memory/", "limit_in_bytes",
                                         "usage_in_bytes")):
            inner = f"sys/fs/cgroup/{top}a/b/memory"
            put("proc/self/cgroup", f"9:pids:/x\n{kinds}:/a/b")
            found = []
            for path, size in ((f"{inner}.{limit}", "max"), (f"{inner}.{used}", 3 << 20),
                               (f"{inner}.{limit}", 9 << 20), (f"{inner}.stat", "x"),
                               (f"sys/fs/cgroup/{top}a/memory.{limit}", 4 << 20),
                               (f"sys/fs/cgroup/{top}a/memory.{used}", 3 << 20)):
                inactive = "inactive_file" if kinds == "0:" else "total_inactive_file"
                put(path, f"{inactive} {2 << 20}" if size == "x" else str(size))
                found.append(host.memory_available_mib(root))
            wanted = [8, 8, 6, 8, 8, 1]
            if found != wanted:
                problems.append(f"{kinds}: {found} MiB, not {wanted}")
    cpu = max(os.sched_getaffinity(0))
    told = host.output_of("grep", "Cpus_allowed_list:", "/proc/self/status", cpu=cpu)
    if told.split()[1:] != [str(cpu)]:
        problems.append(f"on CPU {cpu}: {told}")
    if host.describe_huge_pages("always [madvise] never") != "madvise":
        problems.append("the mode of huge pages is not read")
    return problems


CHECKS = (
    ("a run goes on without a library", libraries_are_not_vital),
    ("the machine is described as it was built for", machine_is_described),
    ("a contender that answers wrongly costs nobody but itself", one_contender_costs_itself),
    ("what the machine does not allow is no problem", skipping_is_no_problem),
    ("metrics that do not apply are declared", what_does_not_apply_is_declared),
    ("an error of the harness costs one question", a_bug_costs_one_question),
    ("Ctrl-C leaves whole rounds", interruption_keeps_whole_rounds),
    ("everybody follows everybody, in an order that one number gives again", order_is_shuffled),
    ("results are written whole or not at all", files_are_written_whole),
    ("a run says how it ended, and where its results are", runs_say_how_they_ended),
    ("files that are too old are refused with their reason", old_files_are_refused),
)
