"""How one contender is asked once: start its process, pinned and bounded, and read its answer.

Each method takes a case, the path of a contender's program and a Setting, and returns one number
per metric of the case, in order, or None for a metric that does not apply to the contender. It
raises Failed when there is no answer.
"""

import contextlib
import ctypes
import json
import os
import selectors
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass


class Failed(Exception):
    """A contender gave no answer; the text says why."""


class NotHere(Exception):
    """This machine cannot answer; the text says why, and nobody is to blame."""


@dataclass(frozen=True)
class Setting:
    """How long and where to measure."""

    build: str  # the folder of the programs
    cpu: int  # for the contender
    load_cpu: int  # for the load generator
    rounds: int
    benchmark_seconds: float
    echo_seconds: float
    echo_warm_up_seconds: float
    counted_requests: int  # for system calls
    limit_seconds: float  # a process that takes longer is hung


LIBC = ctypes.CDLL(None, use_errno=True)
PR_SET_PDEATHSIG = 1


def start(command, cpu, **options):
    """Starts a process on one CPU, in a session of its own, that dies with this one."""
    def prepare():
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        os.sched_setaffinity(0, {cpu})
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                            preexec_fn=prepare, start_new_session=True, **options)


def end(process):
    """Kills what is left of a process and of those that it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for stream in (process.stdout, process.stderr):
        if stream:
            stream.close()


def last_line(text):
    lines = [line for line in text.strip().splitlines() if line.strip()]
    return lines[-1] if lines else "no message"


NOT_ALLOWED = 3  # exit status of a program of ours that this machine keeps from answering


def ask(command, cpu, limit_seconds):
    """Runs a command to its end and returns its standard output."""
    name = os.path.basename(command[0])
    process = start(command, cpu, stderr=subprocess.PIPE)
    try:
        output, errors = process.communicate(timeout=limit_seconds)
    except subprocess.TimeoutExpired:
        raise Failed(f"{name} hung: ended after {limit_seconds:.0f} s") from None
    finally:
        end(process)
    if process.returncode == NOT_ALLOWED:
        raise NotHere(last_line(errors))
    if process.returncode != 0:
        raise Failed(f"{name} ended with {process.returncode}: {last_line(errors)}")
    return output


def microbenchmark(case, program, setting):
    """A Google Benchmark program: process CPU time per item, in ns."""
    output = ask([program, "--benchmark_format=json", f"--benchmark_filter=^{case.name}/",
                  f"--benchmark_min_time={setting.benchmark_seconds}"],
                 setting.cpu, setting.limit_seconds)
    try:
        rows = json.loads(output)["benchmarks"]
    except (ValueError, KeyError):
        raise Failed("the answer is not Google Benchmark's JSON") from None
    if len(rows) != 1:
        raise Failed(f"{len(rows)} rows for {case.name} instead of one")
    if rows[0].get("error_occurred"):
        raise Failed(rows[0].get("error_message", "an error without a message"))
    return [1e9 / rows[0]["items_per_second"]]


def program(case, program, setting):
    """A program of ours that prints its figures by name (answer.hpp); None for one that it leaves
    out, because it does not apply."""
    output = ask([program, *case.options], setting.cpu, setting.limit_seconds)
    try:
        figures = json.loads(output)
    except ValueError:
        raise Failed("the answer is not JSON") from None
    strange = figures.keys() - {metric.name for metric in case.metrics}
    if strange or not figures:
        raise Failed(f"the answer has figures that nobody asked for: {', '.join(strange)}"
                     if strange else "the answer is empty")
    return [figures.get(metric.name) for metric in case.metrics]


def read_address(process, limit_seconds):
    """Reads a server's output up to `listening on ADDRESS`; returns the lines before, and it."""
    before = []
    text = ""
    deadline = time.monotonic() + limit_seconds
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while True:
            while "\n" in text:
                line, text = text.split("\n", 1)
                if line.startswith("listening on "):
                    return before, line.split()[-1]
                before.append(line)
            if not selector.select(max(0, deadline - time.monotonic())):
                raise Failed("the server did not say where it listens")
            chunk = os.read(process.stdout.fileno(), 4096).decode()
            if not chunk:
                raise Failed("the server ended before it listened")
            text += chunk


@contextlib.contextmanager
def server(command, setting):
    """A running server: gives its address and its process id (of the program, not of a wrapper).

    A wrapper makes the program print its process id first.
    """
    process = start(command, setting.cpu, stderr=subprocess.DEVNULL)
    try:
        before, address = read_address(process, setting.limit_seconds)
        pid = int(before[0]) if before else process.pid
        yield address, pid
        os.kill(pid, signal.SIGTERM)
        try:
            process.wait(setting.limit_seconds)
        except subprocess.TimeoutExpired:
            raise Failed("the server did not end after SIGTERM") from None
        if process.returncode not in (0, -signal.SIGTERM):
            raise Failed(f"the server ended with {process.returncode}")
    finally:
        end(process)


def load(address, setting, options):
    """Runs the load generator; returns its report."""
    output = ask([os.path.join(setting.build, "load"), address, *options], setting.load_cpu,
                 setting.limit_seconds)
    return json.loads(output)


def echo(case, program, setting):
    """A server under load: its CPU time per request, the rate, and the client's latencies."""
    with server([program, "127.0.0.1:0"], setting) as (address, pid):
        report = load(address, setting, [
            *case.options, "--server-pid", str(pid), "--seconds", str(setting.echo_seconds),
            "--warm-up", str(setting.echo_warm_up_seconds)])
    latency = report["latency_us"]
    return [report["server_cpu_us_per_request"], report["requests_per_second"],
            latency["p50"], latency["p99"], latency["p99_9"], report["server_busy"]]


def system_calls(case, program, setting):
    """System calls per request at full speed, by a counter in the kernel."""
    with server([program, "127.0.0.1:0"], setting) as (address, pid):
        report = load(address, setting, [
            *case.options, "--server-pid", str(pid), "--count-calls",
            "--seconds", str(setting.echo_seconds),
            "--warm-up", str(setting.echo_warm_up_seconds)])
    return [report["server_calls_per_request"]]


def total_calls(summary):
    """The total of the column `calls` of strace -c. Other columns may be empty in that line, or
    come first in other versions, so it is found by where its heading stands."""
    lines = summary.splitlines()
    heading = next((line for line in lines if " calls " in line), "")
    totals = [line for line in lines if line.split()[-1:] == ["total"]]
    end = heading.find(" calls ") + len(" calls")
    if not heading or not totals:
        raise Failed("strace gave no total")
    # Figures end where their heading does.
    figures = totals[-1][:end].split()
    if not figures or not figures[-1].isdigit() or totals[-1][end:end + 1].strip():
        raise Failed(f"strace's total has no calls: {totals[-1]}")
    return int(figures[-1])


def trace_calls(case, program, setting, requests):
    """All system calls of a server's life in which it answers this many requests."""
    with tempfile.TemporaryDirectory(prefix="heddle-bench-") as folder:
        summary = os.path.join(folder, "strace")
        wrapped = ["strace", "-f", "-c", "-o", summary, "sh", "-c", 'echo $$; exec "$0" "$1"',
                   program, "127.0.0.1:0"]
        with server(wrapped, setting) as (address, _):
            load(address, setting, [*case.options, "--warm-up", "0", "--requests", str(requests),
                                    "--seconds", str(setting.limit_seconds)])
        with open(summary, encoding="utf-8") as file:
            return total_calls(file.read())


def can_trace():
    if not shutil.which("strace"):
        return False
    trial = ["strace", "-o", os.devnull, "true"]
    return subprocess.run(trial, stderr=subprocess.DEVNULL, check=False).returncode == 0


def traced_calls(case, program, setting):
    """System calls per request under strace: two runs of different length, so that what a server
    does when it starts, accepts and ends is not counted."""
    if not can_trace():
        raise NotHere("strace is missing or not allowed to trace")
    few = setting.counted_requests // 10
    many = setting.counted_requests
    calls = (trace_calls(case, program, setting, many) -
             trace_calls(case, program, setting, few))
    return [calls / (many - few)]
