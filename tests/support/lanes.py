"""Runs tests while later configurations are still being built.

A build keeps every processor busy and most test programs keep one, waiting often: one after the
other they leave half of a small machine idle. So one thread builds, in the order of the plan, and
puts each test that has become possible into a queue; as many lanes as the processors allow take
tests from it, and one lane more for every processor that the end of the builds sets free.
"""

import os
import queue
import threading

from . import process


class Lanes:
    """A builder and the lanes behind it, for one run of everything."""

    def __init__(self):
        self.tests = queue.Queue()
        self.processors = os.cpu_count() or 1
        self.permits = threading.Semaphore(max(1, self.processors // 2))
        self.failures = []  # exceptions that ended a thread

    def run(self, first_tests, builds, stop):
        """Runs `first_tests`, and then whatever tests the `builds` return.

        All are functions without arguments; a build returns a list of tests. A thread that fails
        ends the run: `stop` is called, so that what is left returns at once, and the exception
        goes on from here; so does one that a signal handler raises here.
        """
        for test in first_tests:
            self.tests.put(test)
        threads = [threading.Thread(target=self._guarded, args=(self._build, builds, stop))]
        threads += [threading.Thread(target=self._guarded, args=(self._test, stop))
                    for _ in range(self.processors)]
        for thread in threads:
            thread.start()
        try:
            for thread in threads:
                while thread.is_alive():
                    thread.join(0.2)  # bounded, so that a signal is handled here meanwhile
        finally:
            if any(thread.is_alive() for thread in threads):
                stop()
            for thread in threads:
                while thread.is_alive():
                    process.end_all()  # again, for what was just being started
                    thread.join(0.2)
        if self.failures:
            raise self.failures[0]

    def _guarded(self, function, *arguments):
        try:
            function(*arguments[:-1])
        except BaseException as failure:  # pylint: disable=broad-except
            self.failures.append(failure)
            arguments[-1]()
            process.end_all()

    def _build(self, builds):
        try:
            for build in builds:
                for test in build():
                    self.tests.put(test)
        finally:
            for _ in range(self.processors):
                self.tests.put(None)
            self.permits.release(self.processors)

    def _test(self):
        while True:
            # Whoever takes a test may run it at once: none waits in the hands of an idle lane.
            with self.permits:
                test = self.tests.get()
                if test is None:
                    return
                test()
