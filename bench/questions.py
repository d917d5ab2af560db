"""The table of questions, who is asked, and what we want the answer to be.

A question is asked in one or more cases; a case gives one row per metric and contender. To add a
contender, write peers/<question>_<peer>.cpp, build it in meson.build and name it here. To add a
question, write its program and add a Question; nothing in the other files knows the questions.
"""

from dataclasses import dataclass
from typing import Callable

import measure


@dataclass(frozen=True)
class Metric:
    """One number that a case gives for each contender and round."""

    unit: str
    name: str = ""  # the last part of the row's name, where a case gives several
    better: str = "less"  # or "more"; empty where it is only to be known


@dataclass(frozen=True)
class Case:
    """A question with its numbers filled in."""

    name: str  # of the row, and of the benchmark inside the program
    text: str
    metrics: tuple[Metric, ...]
    method: Callable = measure.microbenchmark
    options: tuple[str, ...] = ()  # for the load generator, or for measure.program
    memory_mib: int = 0  # how much memory the hungriest contender takes
    rounds_max: int = 1000  # what is counted, not timed, takes few
    extents: tuple[str, ...] = ()  # of the run that ask it; empty: all

    def row(self, metric):
        return f"{self.name}/{metric.name}" if metric.name else self.name


@dataclass(frozen=True)
class Contender:
    """A program that answers a question."""

    name: str
    program: str  # in the build folder
    kind: str = "peer"  # or "heddle", or "floor": what the machine allows, not a library
    machines: tuple[str, ...] = ()  # that it exists for; empty: all


@dataclass(frozen=True)
class Question:
    name: str
    cases: tuple[Case, ...]
    contenders: tuple[Contender, ...]


@dataclass(frozen=True)
class Target:
    """What heddle's answer should be, as a part of a contender's answer in the same run.

    The ratio decides. The absolute figure belongs to one machine (2 virtual CPUs of an AMD EPYC
    "Zen 5", Debian 12, gcc 12.2) and shows the scale; where it stands alone, it decides.
    """

    row: str
    absolute: float | None = None
    ratio: float | None = None
    against: str = ""
    # Network figures scatter: the upper end of the 95 % interval of at least 21 rounds decides.
    rounds_min: int = 0


X86_64 = ("x86_64",)
SWITCH = (Metric("ns per one-way switch"),)
YIELD = (Metric("ns per yield"),)
FIBER = (Metric("ns per fiber"),)
ECHO = (
    Metric("us of server CPU per request", "cpu"),
    Metric("requests per second", "rate", "more"),
    Metric("us, median latency", "p50"),
    Metric("us, 99 % of latencies are below", "p99"),
    Metric("us, 99.9 % of latencies are below", "p99.9"),
    Metric("of its CPU that the server used; near 1 it was the limit, not the client", "busy", ""),
)
CALLS = (Metric("system calls per request"),)
SLEEP = (
    Metric("ns of CPU per sleep, the first time", "first"),
    Metric("ns of CPU per sleep, warm", "warm"),
    Metric("us, half of the sleeps are late by less", "late_p50"),
    Metric("us, 99 % of the sleeps are late by less", "late_p99"),
)
MEMORY = (
    Metric("bytes in memory per fiber", "resident"),
    Metric("bytes of page tables per fiber", "page_tables"),
    Metric("mappings of the process", "mappings"),
    Metric("of 100 stacks have no guard", "unguarded"),
    Metric("MiB more than at the start when all have ended", "left_mib"),
)
HUNDRED_CONNECTIONS = ("--connections", "100", "--bytes", "64")

QUESTIONS = (
    Question(
        "switch",
        (Case("switch/two_call_sites", "one thread, two stacks, two call sites", SWITCH),),
        (Contender("heddle", "switch", "heddle"),
         Contender("Boost.Context", "switch_fcontext"),
         Contender("inline assembly", "switch_floor", "floor", X86_64))),
    Question(
        "yield",
        (Case("yield/2_fibers", "2 fibers, two call sites", YIELD),
         Case("yield/1000_fibers_1_site", "1 000 fibers, one call site", YIELD),
         Case("yield/1000_fibers_8_sites", "1 000 fibers, eight call sites", YIELD),
         Case("yield/100000_fibers", "100 000 fibers, one call site", YIELD, memory_mib=2000)),
        (Contender("heddle", "yield", "heddle"),
         Contender("Boost.Fiber", "yield_boost_fiber"),
         Contender("inline assembly", "yield_floor", "floor", X86_64))),
    Question(
        "spawn",
        (Case("spawn/join_each", "spawn and join, one after the other", FIBER),),
        (Contender("heddle", "spawn", "heddle"),
         Contender("Boost.Fiber", "spawn_boost_fiber"),
         Contender("Boost.Fiber, dispatch", "spawn_boost_fiber_dispatch"),
         Contender("inline assembly", "spawn_floor", "floor", X86_64))),
    Question(
        "sleep",
        (Case("sleep/100000_fibers", "100 000 fibers sleep 1 to 1 000 ms each",
              SLEEP, measure.program, ("100000", "1000"), memory_mib=2000, rounds_max=7,
              extents=("default",)),
         Case("sleep/10000_fibers", "10 000 fibers sleep 1 to 100 ms each",
              SLEEP, measure.program, ("10000", "100"), extents=("quick", "brief"))),
        (Contender("heddle", "sleep", "heddle"),
         Contender("Boost.Fiber", "sleep_boost_fiber"),
         Contender("State Threads", "sleep_state_threads"),
         Contender("Go", "sleep_go"),
         Contender("heap of callbacks", "sleep_floor", "floor"))),
    Question(
        "memory",
        (Case("memory/1000000_fibers", "1 000 000 fibers that wait, stacks of 64 KiB",
              MEMORY, measure.program, ("1000000",), memory_mib=13000, rounds_max=1,
              extents=("default",)),
         Case("memory/100000_fibers", "100 000 fibers that wait, stacks of 64 KiB",
              MEMORY, measure.program, ("100000",), memory_mib=1500, rounds_max=3,
              extents=("default", "quick")),
         Case("memory/10000_fibers", "10 000 fibers that wait, stacks of 64 KiB",
              MEMORY, measure.program, ("10000",), extents=("brief",))),
        (Contender("heddle", "memory", "heddle"),
         Contender("Boost.Fiber", "memory_boost_fiber"),
         Contender("State Threads", "memory_state_threads"),
         Contender("Go", "memory_go"),
         Contender("10 000 threads", "memory_threads"),
         Contender("one page each", "memory_floor", "floor"))),
    Question(
        "echo",
        (Case("echo/100_connections_64_bytes", "100 connections, 64 bytes, one in flight on each",
              ECHO, measure.echo, HUNDRED_CONNECTIONS),
         Case("echo/system_calls", "the same, system calls of the server at full speed",
              CALLS, measure.system_calls, HUNDRED_CONNECTIONS, rounds_max=5),
         Case("echo/traced_calls", "the same under strace, which makes every call slow",
              CALLS, measure.traced_calls, HUNDRED_CONNECTIONS, rounds_max=3)),
        (Contender("heddle", "echo_heddle", "heddle"),
         Contender("libuv", "echo_libuv"),
         Contender("Asio", "echo_asio"),
         Contender("thread per connection", "echo_threads"),
         Contender("raw epoll", "echo_raw_epoll", "floor"))),
)

TARGETS = (
    Target("switch/two_call_sites", 3.0, 0.65, "Boost.Context"),
    Target("yield/2_fibers", 4, 0.08, "Boost.Fiber"),
    Target("yield/1000_fibers_1_site", 4, 0.18, "Boost.Fiber"),
    Target("yield/1000_fibers_8_sites", 4, 0.18, "Boost.Fiber"),
    Target("yield/100000_fibers", 12, 0.10, "Boost.Fiber"),
    Target("spawn/join_each", 20, 0.08, "Boost.Fiber"),
    Target("sleep/100000_fibers/warm", 700, 0.2, "Boost.Fiber"),
    Target("sleep/100000_fibers/late_p99", 2000),
    *(Target(f"memory/{fibers}_fibers/{metric}", most)
      for fibers in (1000000, 100000)
      for metric, most in (("resident", 4400), ("page_tables", 140), ("mappings", 100),
                           ("unguarded", 0), ("left_mib", 32))),
    Target("echo/100_connections_64_bytes/cpu", None, 1.05, "raw epoll", rounds_min=21),
    Target("echo/traced_calls", 2.1),
)

# What we also aim at, and have no question for yet.
TARGETS_UNASKED = (
    "switch with fp_environment=preserved (1.0 of Boost.Context)",
    "yield, 1 000 000 fibers (0.30 of Boost.Fiber)",
    "100 000 fibers spawned, then joined, cold and warm (0.02 and 0.04 of Boost.Fiber)",
    "channel (0.08 of Boost.Fiber)",
    "semaphore (0.04 of Boost.Fiber, 0.35 of State Threads)",
    "mutex (0.85 of pthread_mutex)",
    "skynet by join (60 ms, 30 MB) and by channel (0.4 of Go)",
    "echo on io_uring (1.00 of raw epoll)",
    "echo with 1 000 and 10 000 connections, 16 in flight, 16 KiB (1.05 of raw epoll each)",
    "HTTP keep-alive (5.9 us at 100 connections, 6.2 us at 1 000)",
    "memory of an idle connection (4 600 bytes)",
)
