"""Asks the contenders in turn, and keeps what they answer and why some do not.

Whatever one contender does, a wrong answer or none, is a problem of that contender: it is named at
the end of the run, and the others go on. So does Ctrl-C leave what was answered until then.
"""

import dataclasses
import json
import math
import os
import platform
import random
import traceback

import host
import measure
import report

# (question, contender, metric) that nobody need answer, and why. Any other metric that is left out
# of an answer is a failure, or a row could be lost without a word.
DOES_NOT_APPLY = {
    ("memory", "Go", "unguarded"): "its stacks grow, and need no guard",
}


def does_not_apply(case, contender, metric):
    """Why a contender need not answer, or nothing."""
    question = case.name.partition("/")[0]
    return DOES_NOT_APPLY.get((question, contender.name, metric.name), "")


def complain_about(case, contender, answer):
    """What is wrong with an answer, or nothing."""
    if len(answer) != len(case.metrics):
        return f"{len(answer)} figures instead of {len(case.metrics)}"
    for metric, figure in zip(case.metrics, answer):
        name = metric.name or "the figure"
        if figure is None:
            if not does_not_apply(case, contender, metric):
                return f"the answer leaves out {name}"
        elif isinstance(figure, bool) or not isinstance(figure, (int, float)) \
                or not math.isfinite(figure):
            return f"{name} is no number: {figure!r}"
    return None


def in_words(error):
    """An exception that nobody expected, in one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())


class Asking:
    """Asks questions and keeps the answers."""

    def __init__(self, setting, extent, seed):
        self.setting = setting
        self.extent = extent
        self.seed = seed  # of the order in which contenders are asked
        self.rows = {}  # (question, contender): report.Row, in the order of the table
        self.tables = []  # what was asked, for the page: a dict for each metric of each case
        self.notes = []  # one line each, for whoever reads the figures
        self.problems = []  # the same; any makes the run fail
        self.silent = {}  # (case, contender) that failed and are not asked again: the reason
        self.interrupted = ""  # in which question

    def note(self, text):
        print(text)
        self.notes.append(text)

    def ask_all(self, questions, after_each):
        """Asks the questions, and calls after_each(name) behind each, until Ctrl-C."""
        for question in questions:
            try:
                self.ask(question)
            except KeyboardInterrupt:
                self.interrupted = question.name
            except Exception as error:  # pylint: disable=broad-except
                # A bug of ours: it costs this question, and not those already answered.
                traceback.print_exc()
                self.problems.append(f"{question.name}: {in_words(error)}")
            if self.interrupted:
                self.problems.append(f"interrupted in {self.interrupted}: that question has few "
                                     "rounds or none, and later ones were not asked")
                return
            after_each(question.name)

    def present(self, question):
        """The contenders that this machine has, heddle first, and why it lacks others."""
        found = []
        lacking = {}
        for contender in question.contenders:
            if contender.machines and platform.machine() not in contender.machines:
                lacking[contender.name] = f"does not exist for {platform.machine()}"
                print(f"{question.name}: {contender.name} {lacking[contender.name]}")
            elif not os.path.exists(os.path.join(self.setting.build, contender.program)):
                lacking[contender.name] = "was not built, because what it needs is not installed"
                self.problems.append(f"{question.name}: {contender.name} "
                                     f"{lacking[contender.name]}")
            else:
                found.append(contender)
        return found, lacking

    def fail(self, case, contender, reason):
        self.silent[case.name, contender.name] = f"failed: {reason}"
        self.problems.append(f"{case.name}: {contender.name}: {reason}")

    def ask_once(self, case, contender):
        """One answer, or None and a note."""
        program = os.path.join(self.setting.build, contender.program)
        try:
            answer = case.method(case, program, self.setting)
            complaint = complain_about(case, contender, answer)
            if complaint:
                raise measure.Failed(complaint)
            return [report.six_digits(figure) for figure in answer]
        except measure.NotHere as reason:
            self.silent[case.name, contender.name] = f"skipped: {reason}"
            print(f"{case.name}: {contender.name}: skipped: {reason}")
        except measure.Failed as reason:
            self.fail(case, contender, reason)
        except Exception as error:  # pylint: disable=broad-except
            # What a program may print or do has no end; half an hour of others must not hang on it.
            self.fail(case, contender, in_words(error))
        return None

    def cases_of(self, question):
        """The cases that this run asks; a line for each that the machine is too small for."""
        cases = []
        for case in question.cases:
            if case.extents and self.extent not in case.extents:
                continue
            if case.memory_mib > host.memory_available_mib():
                self.note(f"{case.name}: skipped: it takes {case.memory_mib} MiB of free memory")
            else:
                cases.append(case)
        return cases

    def order(self, case, contenders, number):
        """The contenders as one round asks them: shuffled, so that nobody has the same neighbour's
        cache before him each time, and the same for the same seed."""
        shuffled = list(contenders)
        random.Random(f"{self.seed} {case.name} {number}").shuffle(shuffled)
        return shuffled

    def ask_rounds(self, cases, contenders, answers):
        """Fills `answers`: (case, contender): a list with an answer for each round."""
        for number in range(self.setting.rounds):
            for case in cases:
                if number >= case.rounds_max:
                    continue
                for contender in self.order(case, contenders, number):
                    key = (case.name, contender.name)
                    if key not in self.silent and contender.answers(case):
                        answers[key].append(self.ask_once(case, contender))

    def keep_whole_rounds(self, cases, contenders, answers):
        """Drops what some were asked in a round that others did not come to."""
        for case in cases:
            lists = [answers[case.name, one.name] for one in contenders
                     if one.answers(case) and (case.name, one.name) not in self.silent]
            whole = min(map(len, lists), default=0)
            for some in lists:
                del some[whole:]

    def ask(self, question):
        """All rounds of one question, then its rows and tables."""
        contenders, lacking = self.present(question)
        cases = self.cases_of(question)
        answers = {(case.name, contender.name): [] for case in cases for contender in contenders}
        try:
            self.ask_rounds(cases, contenders, answers)
        except KeyboardInterrupt:
            self.interrupted = question.name
            self.keep_whole_rounds(cases, contenders, answers)
        for case in cases:
            for position, metric in enumerate(case.metrics):
                self.conclude(case, position, metric, contenders, answers)
                absent = lacking | self.absent(case, metric, contenders)
                self.tables.append({
                    "question": question.name, "row": case.row(metric), "text": case.text,
                    "unit": metric.unit, "better": metric.better,
                    "absent": [{"contender": name, "reason": reason}
                               for name, reason in absent.items()]})

    def absent(self, case, metric, contenders):
        """Who of those that are built has no row for a metric, and why."""
        reasons = {}
        for contender in contenders:
            if (case.row(metric), contender.name) in self.rows:
                continue
            if not contender.answers(case):
                reason = f"is not asked beyond {contender.fibers_max} fibers"
            elif (case.name, contender.name) in self.silent:
                reason = self.silent[case.name, contender.name]
            elif does_not_apply(case, contender, metric):
                reason = f"does not apply: {does_not_apply(case, contender, metric)}"
            else:
                reason = "the run was interrupted before a round of it was whole"
            reasons[contender.name] = reason
        return reasons

    def conclude(self, case, position, metric, contenders, answers):
        """The rows and the table of one metric."""
        samples = {contender.name: [answer[position]
                                    for answer in answers[case.name, contender.name]]
                   for contender in contenders
                   if answers[case.name, contender.name] and
                   (case.name, contender.name) not in self.silent}
        # What is left out here was declared in DOES_NOT_APPLY, for ask_once takes nothing else.
        spoke = [contender for contender in contenders
                 if contender.name in samples and None not in samples[contender.name]]
        rows = [report.make_row(case.row(metric), contender, metric.unit, samples[contender.name],
                                samples.get("heddle"), case.fibers, case.curve_of(metric))
                for contender in spoke]
        self.rows.update({(row.question, row.contender): row for row in rows})
        if rows:
            report.print_table(case.row(metric), case.text, metric, rows, self.setting.rounds)

    def collect(self, header):
        """What was answered, as results.json has it."""
        if self.interrupted:
            header = {**header, "interrupted": f"in {self.interrupted}"}
        # Through JSON, so that what is made of it now is what is made of the file later.
        return json.loads(json.dumps(
            {"header": header, "targets": [], "tables": self.tables,
             "rows": [dataclasses.asdict(row) for row in self.rows.values()],
             "notes": self.notes, "problems": self.problems}))
