"""Runs one program under a time limit and keeps what it printed.

Every program gets a process group of its own, so that whatever it leaves behind can be ended
with it; nothing that was not started here is ever signalled.
"""

import os
import signal
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass

# What a program that was told to list its fibers and abort is given before SIGKILL.
GRACE_S = 5

# What runs now, on whichever thread.
_running = set()
_running_lock = threading.Lock()

# Of a longer output the beginning and the end are kept.
OUTPUT_BYTES_MAX = 256 * 1024


@dataclass
class Finished:
    """How a program ended. `status` is negative for the signal that ended it, as in subprocess."""

    status: int
    output: str
    seconds: float
    timed_out: bool

    def how(self):
        """The end of the program in words."""
        if self.timed_out:
            return f"ran out of time after {self.seconds:.0f} s"
        if self.status < 0:
            return f"was ended by {signal.Signals(-self.status).name}"
        return f"exited with status {self.status}"


def run(command, environment, limit_s, folder=None):
    """Runs `command` to its end; after `limit_s` sends SIGALRM, then SIGKILL."""
    started = time.monotonic()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(command, env=environment, cwd=folder, stdout=output,
                                   stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                                   start_new_session=True)
        timed_out = False
        try:
            with _running_lock:
                _running.add(process)
            try:
                process.wait(limit_s)
            except subprocess.TimeoutExpired:
                timed_out = True
                process.send_signal(signal.SIGALRM)
                try:
                    process.wait(GRACE_S)
                except subprocess.TimeoutExpired:
                    pass
        finally:
            with _running_lock:
                _running.discard(process)
            _end_group(process)
        return Finished(process.returncode, _read(output), time.monotonic() - started, timed_out)


def end_all():
    """Ends whatever run() is waiting for now, on every thread."""
    with _running_lock:
        for process in _running:
            _signal_group(process)


def _end_group(process):
    _signal_group(process)
    process.wait()


def _signal_group(process):
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass  # the usual case: nothing is left


def _read(output):
    size = output.seek(0, os.SEEK_END)
    output.seek(0)
    if size <= OUTPUT_BYTES_MAX:
        return output.read().decode(errors="replace")
    half = OUTPUT_BYTES_MAX // 2
    beginning = output.read(half).decode(errors="replace")
    output.seek(size - half)
    ending = output.read(half).decode(errors="replace")
    return f"{beginning}\n[... {size - 2 * half} bytes left out ...]\n{ending}"
