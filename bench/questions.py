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
    curve: str = ""  # the cases of one name ask the same of ever more fibers: the points of a curve
    fibers: int = 0  # how many, where it is such a point

    def row(self, metric):
        return f"{self.name}/{metric.name}" if metric.name else self.name

    def curve_of(self, metric):
        return f"{self.curve}/{metric.name}" if self.curve and metric.name else self.curve


@dataclass(frozen=True)
class Contender:
    """A program that answers a question."""

    name: str
    program: str  # in the build folder
    kind: str = "peer"  # or "heddle", or "floor": what the machine allows, not a library
    machines: tuple[str, ...] = ()  # that it exists for; empty: all
    fibers_max: int = 0  # it is not asked for more than so many; 0: for any number

    def answers(self, case):
        return not self.fibers_max or case.fibers <= self.fibers_max


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
BATCH = (
    Metric("ns of CPU per fiber, the first time", "first"),
    Metric("ns of CPU per fiber, warm", "warm"),
)
VALUE = (Metric("ns per value"),)
HOP = (Metric("ns per hop"),)
LOCK = (Metric("ns per lock and unlock"),)
HELD_LOCK = (Metric("ns per lock, unlock and two yields"),)
SELECT = (Metric("ns per select"),)
SKYNET = (
    Metric("ms of CPU for the tree", "ms"),
    Metric("MiB in memory at the most", "peak_mib"),
)
ECHO = (
    Metric("us of server CPU per request", "cpu"),
    Metric("requests per second", "rate", "more"),
    Metric("us, median latency", "p50"),
    Metric("us, 99 % of latencies are below", "p99"),
    Metric("us, 99.9 % of latencies are below", "p99.9"),
    Metric("of its CPU that the server used; near 1 it was the limit, not the client", "busy", ""),
)
CALLS = (Metric("system calls per request"),)
TIMER = (Metric("ns of CPU per wait", "wait"),)
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


def tree_cases(question, text):
    """A tree of fibers in three sizes; the larger ones only where there is time."""
    sizes = (("1 000 000", 1000000, 7000, ("default",)),
             ("100 000", 100000, 2000, ("default", "quick")),
             ("10 000", 10000, None, None))
    for words, leaves, memory_mib, extents in sizes:
        limits = {"memory_mib": memory_mib, "extents": extents} if memory_mib else {}
        yield Case(f"{question}/{leaves}_leaves", text.format(words), SKYNET, measure.program,
                   (str(leaves),), rounds_max=5, curve=question, fibers=leaves, **limits)


QUESTIONS = (
    Question(
        "switch",
        (Case("switch/two_call_sites", "one thread, two stacks, two call sites", SWITCH),),
        (Contender("heddle", "switch", "heddle"),
         Contender("Boost.Context", "switch_fcontext"),
         Contender("ucontext", "switch_ucontext"),
         Contender("inline assembly", "switch_floor", "floor", X86_64))),
    Question(
        "switch_preserved",
        (Case("switch_preserved/two_call_sites",
              "the same, where a switch keeps the floating-point control words", SWITCH),),
        (Contender("heddle", "switch_preserved", "heddle"),
         Contender("Boost.Context", "switch_fcontext"),
         Contender("ucontext", "switch_ucontext"),
         Contender("inline assembly", "switch_floor", "floor", X86_64))),
    Question(
        "yield",
        (Case("yield/2_fibers", "2 fibers, two call sites", YIELD, curve="yield", fibers=2),
         Case("yield/100_fibers", "100 fibers, one call site", YIELD, rounds_max=11,
              curve="yield", fibers=100),
         Case("yield/1000_fibers_1_site", "1 000 fibers, one call site", YIELD,
              curve="yield", fibers=1000),
         Case("yield/1000_fibers_8_sites", "1 000 fibers, eight call sites", YIELD),
         Case("yield/10000_fibers", "10 000 fibers, one call site", YIELD, rounds_max=11,
              curve="yield", fibers=10000),
         Case("yield/100000_fibers", "100 000 fibers, one call site", YIELD, memory_mib=2000,
              rounds_max=11, extents=("default", "quick"), curve="yield", fibers=100000),
         Case("yield/1000000_fibers", "1 000 000 fibers, one call site", YIELD, memory_mib=13000,
              rounds_max=3, extents=("default",), curve="yield", fibers=1000000)),
        (Contender("heddle", "yield", "heddle"),
         Contender("Boost.Fiber", "yield_boost_fiber"),
         Contender("State Threads", "yield_state_threads"),
         Contender("Go", "yield_go"),
         Contender("threads", "yield_threads", fibers_max=1000),
         Contender("inline assembly", "yield_floor", "floor", X86_64),
         Contender("pointer chase", "yield_chase", "floor"))),
    Question(
        "spawn",
        (Case("spawn/join_each", "spawn and join, one after the other", FIBER),),
        (Contender("heddle", "spawn", "heddle"),
         Contender("Boost.Fiber", "spawn_boost_fiber"),
         Contender("Boost.Fiber, dispatch", "spawn_boost_fiber_dispatch"),
         Contender("State Threads", "spawn_state_threads"),
         Contender("Go", "spawn_go"),
         Contender("threads", "spawn_threads"),
         Contender("inline assembly", "spawn_floor", "floor", X86_64))),
    Question(
        "batch",
        (Case("batch/100000_fibers", "100 000 fibers spawned, then joined",
              BATCH, measure.program, ("100000",), memory_mib=2000, rounds_max=11,
              extents=("default", "quick"), curve="batch", fibers=100000),
         Case("batch/10000_fibers", "10 000 fibers spawned, then joined",
              BATCH, measure.program, ("10000",), rounds_max=6, extents=("default",),
              curve="batch", fibers=10000),
         Case("batch/1000_fibers", "1 000 fibers spawned, then joined",
              BATCH, measure.program, ("1000",), rounds_max=6, curve="batch", fibers=1000),
         Case("batch/10000_that_yield", "10 000 fibers that yield once, spawned, then joined",
              BATCH, measure.program, ("10000", "that_yield"), rounds_max=6,
              extents=("default", "quick")),
         Case("batch/1000_that_yield", "1 000 fibers that yield once, spawned, then joined",
              BATCH, measure.program, ("1000", "that_yield"), rounds_max=6, extents=("brief",))),
        (Contender("heddle", "batch", "heddle"),
         Contender("Boost.Fiber", "batch_boost_fiber"),
         Contender("Boost.Fiber, dispatch", "batch_boost_fiber_dispatch"),
         Contender("State Threads", "batch_state_threads"),
         Contender("Go", "batch_go"),
         Contender("threads", "batch_threads", fibers_max=10000),
         Contender("inline assembly", "batch_floor", "floor", X86_64))),
    Question(
        "skynet",
        tuple(tree_cases("skynet", "a tree of fibers with {} leaves, ten to a fiber")),
        (Contender("heddle", "skynet", "heddle"),
         Contender("Boost.Fiber", "skynet_boost_fiber"),
         Contender("Boost.Fiber, dispatch", "skynet_boost_fiber_dispatch"),
         Contender("State Threads", "skynet_state_threads"),
         Contender("Go", "skynet_go"),
         Contender("recursion", "skynet_floor", "floor"))),
    Question(
        "channel",
        (Case("channel/rendezvous_hop", "no room: 2 fibers hand a number back and forth", HOP),
         Case("channel/rendezvous_hop_with_threads",
              "the same, in a process that has another thread", HOP, rounds_max=11,
              extents=("default", "brief")),
         *(Case(f"channel/{name}_{shape}", f"{room}: {who}", VALUE,
                rounds_max=11 if shape == "1_to_1" else 6,
                extents=() if shape == "1_to_1" else ("default", "brief"))
           for name, room in (("rendezvous", "no room (a rendezvous)"),
                              ("buffer_1", "room for 1 value"),
                              ("buffer_64", "room for 64 values"),
                              ("buffer_1024", "room for 1 024 values"))
           for shape, who in (("1_to_1", "1 sender, 1 taker"),
                              ("100_to_1", "100 senders, 1 taker"),
                              ("100_to_100", "100 senders, 100 takers")))),
        (Contender("heddle", "channel", "heddle"),
         Contender("Boost.Fiber", "channel_boost_fiber"),
         Contender("State Threads", "channel_state_threads"),
         Contender("Go", "channel_go"),
         Contender("threads", "channel_threads"))),
    Question(
        "skynet_channel",
        tuple(tree_cases("skynet_channel", "the tree with {} leaves, by channels")),
        (Contender("heddle", "skynet_channel", "heddle"),
         Contender("Boost.Fiber", "skynet_channel_boost_fiber"),
         Contender("Boost.Fiber, dispatch", "skynet_channel_boost_fiber_dispatch"),
         Contender("State Threads", "skynet_channel_state_threads"),
         Contender("Go", "skynet_channel_go"))),
    Question(
        "select",
        (Case("select/2_cases", "to receive from one of 2 channels", SELECT),
         Case("select/8_cases", "to receive from one of 8 channels", SELECT),
         Case("select/64_cases", "to receive from one of 64 channels", SELECT, rounds_max=11)),
        (Contender("heddle", "select", "heddle"),
         Contender("Go", "select_go"))),
    Question(
        "semaphore",
        (Case("semaphore/hop", "2 fibers in turn, each releases the other's semaphore", HOP),
         Case("semaphore/hop_with_threads", "the same, in a process that has another thread", HOP,
              rounds_max=11, extents=("default", "brief"))),
        (Contender("heddle", "semaphore", "heddle"),
         Contender("Boost.Fiber", "semaphore_boost_fiber"),
         Contender("State Threads", "semaphore_state_threads"),
         Contender("Go", "semaphore_go"),
         Contender("threads", "semaphore_threads"))),
    Question(
        "mutex",
        (Case("mutex/uncontended", "a mutex that nobody else wants, in a process of one thread",
              LOCK),
         Case("mutex/uncontended_with_threads", "the same, in a process that has another thread",
              LOCK),
         Case("mutex/2_fibers", "2 fibers that hold it across a yield", HELD_LOCK, rounds_max=11),
         Case("mutex/100_fibers", "100 fibers that hold it across a yield", HELD_LOCK,
              rounds_max=11)),
        (Contender("heddle", "mutex", "heddle"),
         Contender("Boost.Fiber", "mutex_boost_fiber"),
         Contender("State Threads", "mutex_state_threads"),
         Contender("Go", "mutex_go"),
         Contender("threads", "mutex_threads"))),
    Question(
        "condition_variable",
        (Case("condition_variable/ping_pong", "2 fibers in turn, 1 mutex and 1 condition variable",
              HOP, rounds_max=11),
         Case("condition_variable/ping_pong_with_threads",
              "the same, in a process that has another thread", HOP, rounds_max=11,
              extents=("default", "brief")),
         Case("condition_variable/notify_all", "100 fibers wait, and all are notified",
              (Metric("ns per woken fiber"),), rounds_max=11)),
        (Contender("heddle", "condition_variable", "heddle"),
         Contender("Boost.Fiber", "condition_variable_boost_fiber"),
         Contender("State Threads", "condition_variable_state_threads"),
         Contender("Go", "condition_variable_go"),
         Contender("threads", "condition_variable_threads"))),
    Question(
        "cancel",
        (Case("cancel/wait", "a fiber waits, is cancelled and joined", FIBER, rounds_max=11),
         Case("cancel/sleep", "the same with one that sleeps", FIBER, rounds_max=11),
         Case("cancel/unwind", "the same with one that waits, and ends by an exception", FIBER,
              rounds_max=11)),
        (Contender("heddle", "cancel", "heddle"),
         Contender("Boost.Fiber", "cancel_boost_fiber"),
         Contender("State Threads", "cancel_state_threads"),
         Contender("Go", "cancel_go"),
         Contender("threads", "cancel_threads"))),
    Question(
        "timer",
        (Case("timer/1_armed", "a wait with a deadline that ends before it, 1 other timer is armed",
              TIMER, measure.program, ("1",), curve="timer", fibers=1),
         Case("timer/1000_armed", "the same, 1 000 other timers are armed",
              TIMER, measure.program, ("1000",), curve="timer", fibers=1000),
         Case("timer/100000_armed", "the same, 100 000 other timers are armed",
              TIMER, measure.program, ("100000",), memory_mib=2000, rounds_max=6,
              extents=("default",), curve="timer", fibers=100000),
         Case("timer/1000000_armed", "the same, 1 000 000 other timers are armed",
              TIMER, measure.program, ("1000000",), memory_mib=13000, rounds_max=3,
              extents=("default",), curve="timer", fibers=1000000)),
        (Contender("heddle", "timer", "heddle"),
         Contender("Boost.Fiber", "timer_boost_fiber"),
         Contender("State Threads", "timer_state_threads"),
         Contender("Go", "timer_go"),
         Contender("threads", "timer_threads", fibers_max=1000),
         Contender("binary heap", "timer_heap", "floor"),
         Contender("std::multimap", "timer_multimap", "floor"))),
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
        (Case("memory/4000000_fibers", "4 000 000 fibers that wait, stacks of 64 KiB",
              MEMORY, measure.program, ("4000000",), memory_mib=19000, rounds_max=1,
              extents=("default",), curve="memory", fibers=4000000),
         Case("memory/1000000_fibers", "1 000 000 fibers that wait, stacks of 64 KiB",
              MEMORY, measure.program, ("1000000",), memory_mib=13000, rounds_max=1,
              extents=("default",), curve="memory", fibers=1000000),
         Case("memory/100000_fibers", "100 000 fibers that wait, stacks of 64 KiB",
              MEMORY, measure.program, ("100000",), memory_mib=1500, rounds_max=3,
              extents=("default", "quick"), curve="memory", fibers=100000),
         Case("memory/10000_fibers", "10 000 fibers that wait, stacks of 64 KiB",
              MEMORY, measure.program, ("10000",), rounds_max=3, curve="memory", fibers=10000)),
        (Contender("heddle", "memory", "heddle"),
         Contender("Boost.Fiber", "memory_boost_fiber", fibers_max=1000000),
         Contender("State Threads", "memory_state_threads"),
         Contender("Go", "memory_go"),
         Contender("threads", "memory_threads", fibers_max=10000),
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
    Target("switch_preserved/two_call_sites", 4.8, 1.0, "Boost.Context"),
    Target("yield/2_fibers", 4, 0.08, "Boost.Fiber"),
    Target("yield/1000_fibers_1_site", 4, 0.18, "Boost.Fiber"),
    Target("yield/1000_fibers_8_sites", 4, 0.18, "Boost.Fiber"),
    Target("yield/100000_fibers", 12, 0.10, "Boost.Fiber"),
    Target("yield/1000000_fibers", 35, 0.30, "Boost.Fiber"),
    # Of its two ways to launch, dispatch is the faster here.
    Target("spawn/join_each", 20, 0.08, "Boost.Fiber, dispatch"),
    Target("batch/100000_fibers/first", 50, 0.02, "Boost.Fiber, dispatch"),
    Target("batch/100000_fibers/warm", 30, 0.04, "Boost.Fiber, dispatch"),
    Target("skynet/1000000_leaves/ms", 60),
    Target("skynet/1000000_leaves/peak_mib", 30),
    Target("channel/rendezvous_hop", 8, 0.08, "Boost.Fiber"),
    Target("channel/rendezvous_1_to_1", 8, 0.08, "Boost.Fiber"),
    Target("skynet_channel/1000000_leaves/ms", 250, 0.4, "Go"),
    Target("semaphore/hop", 6, 0.04, "Boost.Fiber"),
    Target("semaphore/hop", 6, 0.35, "State Threads"),
    Target("mutex/uncontended", 1, 0.10, "threads"),
    Target("mutex/uncontended_with_threads", 10, 0.85, "threads"),
    Target("sleep/100000_fibers/warm", 700, 0.2, "Boost.Fiber"),
    Target("sleep/100000_fibers/late_p99", 2000),
    *(Target(f"memory/{fibers}_fibers/{metric}", most)
      for fibers in (4000000, 1000000, 100000)
      for metric, most in (("resident", 4400), ("page_tables", 140), ("mappings", 100),
                           ("unguarded", 0), ("left_mib", 32))),
    Target("echo/100_connections_64_bytes/cpu", None, 1.05, "raw epoll", rounds_min=21),
    Target("echo/traced_calls", 2.1),
)

# What we also aim at, and have no question for yet.
TARGETS_UNASKED = (
    "echo on io_uring (1.00 of raw epoll)",
    "echo with 1 000 and 10 000 connections, 16 in flight, 16 KiB (1.05 of raw epoll each)",
    "HTTP keep-alive (5.9 us at 100 connections, 6.2 us at 1 000)",
    "memory of an idle connection (4 600 bytes)",
)
