"""Two libraries of one program that both use heddle, linked in every way that works, and in those
that must not go unnoticed.
"""

import os

from steps import CLANG, GCC, attempt, command, prints, source

SOURCES = ("first", "second", "together")
SAYS = "together"
REFUSES = "runs a fiber of another copy of heddle, in the program"
WHOLE = ("-Wl,--whole-archive", "{archive}", "-Wl,--no-whole-archive")


def add(cases, installed, folder):
    """Adds the cases; `folder` is for what they make."""
    for compiler in (GCC, CLANG):
        one = Libraries(installed, os.path.join(folder, f"sharing-{compiler}"), compiler)
        cases.add(f"two libraries and a program share heddle with {compiler}", one.check)


class Libraries:
    """The objects of the two libraries and of the program, compiled once."""

    def __init__(self, installed, folder, compiler):
        self.installed = installed
        self.folder = folder
        self.compiler = compiler

    def path(self, name):
        """A file that this makes."""
        return os.path.join(self.folder, name)

    def link(self, output, *words):
        """Links `words`, in which {archive} stands for heddle's; finds libraries beside itself."""
        words = [word.format(archive=self.installed.archive) for word in words]
        command([self.compiler, *words, "-o", self.path(output), "-pthread",
                 f"-Wl,-rpath,{self.folder}"])
        return self.path(output)

    def shared(self, prefix, *words):
        """Links each library as a shared one; returns their paths."""
        return [self.link(f"{prefix}-{name}.so", "-shared", self.path(f"{name}.o"), *words)
                for name in SOURCES[:2]]

    def check(self):
        """Links everything, and runs it."""
        os.makedirs(self.folder)
        for name in SOURCES:
            command([self.compiler, "-std=c++20", "-O2", "-fPIC", "-fvisibility=hidden", "-Wall",
                     "-Wextra", "-Werror", f"-I{self.installed.include}", "-c",
                     source(f"{name}.cpp"), "-o", self.path(f"{name}.o")])
        return self.static() + self.in_a_shared_library() + self.in_the_program() + self.apart()

    def static(self):
        """Both libraries are archives: the program is linked with heddle's once."""
        archives = []
        for name in SOURCES[:2]:
            archives.append(self.path(f"lib{name}.a"))
            command(["ar", "rcs", archives[-1], self.path(f"{name}.o")])
        return prints(self.link("static", self.path("together.o"), *archives, "{archive}"), SAYS)

    def in_a_shared_library(self):
        """heddle is a shared library, made of the whole archive."""
        heddle = self.link("libheddle.so", "-shared", *WHOLE, "-Wl,-z,defs")
        both = self.shared("shared", heddle, "-Wl,-z,defs")
        return prints(self.link("shared", self.path("together.o"), *both, heddle), SAYS)

    def in_the_program(self):
        """heddle is in the program, all of it and exported; the libraries find it there."""
        both = self.shared("open")
        return prints(self.link("program", self.path("together.o"), *both, "-rdynamic", *WHOLE),
                      SAYS)

    def apart(self):
        """Each library has a copy of its own, hidden from others or not: calls across say so."""
        problems = []
        for hidden in ((), ("-Wl,--exclude-libs,ALL",)):
            both = self.shared(f"apart{len(hidden)}", "{archive}", *hidden)
            program = self.link(f"apart{len(hidden)}", self.path("together.o"), *both, "{archive}")
            ended = attempt([program])
            if ended.how() != "was ended by SIGABRT" or REFUSES not in ended.output:
                problems.append(f"{program} {ended.how()}: {ended.output}")
        return problems
