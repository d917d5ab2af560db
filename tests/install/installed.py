"""heddle, built in one way and installed: what was installed, and what its archive is like."""

import os
import re
import shutil

from steps import BUILD_LIMIT_S, GCC, ROOT, Failed, command
from support import building

# What ends in a switch, so that a resumed fiber returns straight into its caller: every frame in
# between would cost a mispredicted return.
ENDS_IN_SWITCH = ("_ZN6heddle6detail5yieldEv", "_ZN6heddle6detail5sleepEl",
                  "_ZN6heddle6detail12channel_sendERNS0_12channel_coreEPvl",
                  "_ZN6heddle6detail15channel_receiveERNS0_12channel_coreEPvl",
                  "_ZN6heddle6detail9join_waitEPNS0_11fiber_blockEl",
                  "_ZN6heddle6detail10event_waitERNS0_11event_stateEl",
                  "_ZN6heddle6detail10latch_waitERNS0_11latch_stateEl",
                  "_ZN6heddle6detail12barrier_waitERNS0_13barrier_stateEm",
                  "_ZN6heddle6detail23barrier_arrive_and_waitERNS0_13barrier_stateE",
                  "_ZN6heddle6detail13callback_waitERNS0_11event_stateEl",
                  "_ZN6heddle6detail14condition_waitERNS0_15condition_stateERNS0_11mutex_stateEl",
                  "_ZN6heddle6detail6worker11resume_slowERNS0_11fiber_blockES3_")
SWITCH = "heddle_switch"
# Only what looks at the floating-point control words on either side of a switch needs a frame.
WATCHES = "_ZN6heddle6detail6worker14resume_watchedERNS0_11fiber_blockES3_"


class Installed:
    """heddle, built with `options` by g++ and installed under build/install-<name>/prefix."""

    def __init__(self, name, *options):
        self.name = name
        self.options = options
        self.folder = os.path.join(ROOT, "build", f"install-{name}")
        self.prefix = os.path.join(self.folder, "prefix")
        self.archive = os.path.join(self.prefix, "lib", "libheddle.a")
        self.include = os.path.join(self.prefix, "include")

    def install(self):
        """Builds and installs into an empty prefix."""
        options = ("-Dbuildtype=release", "-Dtests=false", f"--prefix={self.prefix}",
                   "--libdir=lib", *self.options)
        failed = building.configure(ROOT, self.folder, GCC, options)
        if failed:
            return [failed.output]
        shutil.rmtree(self.prefix, ignore_errors=True)
        command(["meson", "install", "-C", self.folder, "--quiet"], BUILD_LIMIT_S)
        return []

    def pkg_config(self, *questions):
        """What pkg-config says, as words; nothing but this prefix tells it about heddle."""
        path = os.path.join(self.prefix, "lib", "pkgconfig")
        questions = questions or ("--cflags", "--libs")
        return command(["pkg-config", *questions, "heddle"], PKG_CONFIG_PATH=path).split()

    def contents(self):
        """The prefix holds the public headers, the archive and what finds them, no more."""
        public = os.path.join(ROOT, "runtime", "include")
        expected = {os.path.join("include", name) for name in files_below(public)}
        expected |= {"lib/libheddle.a", "lib/pkgconfig/heddle.pc",
                     "lib/cmake/heddle/heddleConfig.cmake",
                     "lib/cmake/heddle/heddleConfigVersion.cmake"}
        found = set(files_below(self.prefix))
        return [f"not installed: {name}" for name in sorted(expected - found)] + \
               [f"installed, and should not be: {name}" for name in sorted(found - expected)]

    def version(self):
        """meson.build, and so pkg-config and CMake, say the version that the headers say."""
        with open(os.path.join(self.include, "heddle", "version.hpp"), encoding="utf-8") as file:
            text = file.read()
        said = ".".join(re.findall(r"#define HEDDLE_VERSION_\w+ (\d+)", text))
        told = self.pkg_config("--modversion")
        return [] if told == [said] else [f"version.hpp says {said}, meson.build {told}"]

    def symbols(self):
        """Whatever the archive lets a program see is heddle's by name."""
        listed = command(["nm", "-C", "-g", "--defined-only", "--format=posix", self.archive])
        names = {line.rsplit(" ", 3)[0] for line in listed.splitlines()
                 if re.search(r" [TDBR] ", line)}
        if not names:
            raise Failed(f"{self.archive}: no symbols")
        return [f"{self.archive}: a symbol that is not heddle's: {name}" for name in sorted(names)
                if "heddle" not in name]

    def tail_calls(self):
        """The waits of the release archive jump to the switch, and never call it.

        Where a wait jumps to another function that switches, it is that function which is looked
        at: no frame is left between.
        """
        problems = []
        for function in ENDS_IN_SWITCH:
            reached, ahead = set(), {function}
            while ahead:
                reached |= ahead
                calls, jumps = branches(self.archive, ahead - {SWITCH, WATCHES})
                if SWITCH in calls:
                    problems.append(f"{self.archive}: {function}: a call of {SWITCH} in one of "
                                    f"{', '.join(sorted(ahead))}")
                ahead = jumps - reached
            if SWITCH not in reached:
                problems.append(f"{self.archive}: {function} does not jump to {SWITCH}")
        return problems


def branches(archive, functions):
    """The functions that some functions of an archive call, and those that they jump to."""
    calls, jumps = set(), set()
    for function in functions:
        found = set()
        for line in command(["objdump", "-dr", "--no-show-raw-insn", f"--disassemble={function}",
                             archive]).splitlines():
            if branch := re.search(r"\t(call|j\w+) .*<([^+>]+)", line):
                found = calls if branch[1] == "call" else jumps
                found.add(branch[2])
            elif target := re.search(r" R_\w+\t(\S+?)[-+]0x", line):
                # What the linker fills in; the place that the branch itself names is none.
                found.add(target[1])
                found = set()
            else:
                found = set()
    return calls, jumps


def files_below(folder):
    """The files below a folder, relative to it."""
    return [os.path.relpath(os.path.join(parent, name), folder)
            for parent, _, names in os.walk(folder) for name in names]
