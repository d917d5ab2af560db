"""Build systems that find heddle: CMake an installed copy that was moved, meson the sources."""

import os
import shutil

from steps import (BUILD_LIMIT_S, CLANG, GCC, ROOT, WARNINGS, attempt, command, prints, source)

PROGRAM_SAYS = "abab thrown cancelled same echo"


def add(cases, installed, folder):
    """Adds the cases of an installed copy; `folder` is for what they make."""
    moved = os.path.join(folder, f"moved-{installed.name}")
    shutil.copytree(installed.prefix, moved)
    for compiler in (GCC, CLANG) if installed.name == "asm" else (GCC,):
        cases.add(f"{installed.name}: CMake finds heddle, for {compiler}",
                  cmake, installed, moved, folder, compiler)
    cases.add(f"{installed.name}: CMake refuses other versions of heddle",
              cmake_versions, installed, moved, folder)


def configure(moved, folder, compiler, wanted):
    """Configures the CMake project for a version of heddle."""
    return attempt(["cmake", "-S", source(os.path.join("projects", "cmake")), "-B", folder,
                    "-G", "Ninja", "-Wdev", "-Werror=dev", f"-DCMAKE_CXX_COMPILER={compiler}",
                    f"-DCMAKE_CXX_FLAGS={' '.join(WARNINGS)}", f"-DCMAKE_PREFIX_PATH={moved}",
                    "-DCMAKE_FIND_USE_PACKAGE_REGISTRY=OFF", f"-DSOURCES={source('')}",
                    f"-DWANTED={wanted}"])


def cmake(installed, moved, folder, compiler):
    """The project builds without a warning, and its programs run."""
    build = os.path.join(folder, f"cmake-{installed.name}-{compiler}")
    configured = configure(moved, build, compiler, "0.1")
    if configured.status != 0 or "Warning" in configured.output:
        return [configured.output]
    command(["cmake", "--build", build])
    return prints(os.path.join(build, "program"), PROGRAM_SAYS) + \
        prints(os.path.join(build, "together"), "together")


def cmake_versions(installed, moved, folder):
    """Versions that are another library are refused, and those that are this one taken."""
    build = os.path.join(folder, f"cmake-{installed.name}-versions")
    problems = []
    for wanted, taken in (("0.1", True), ("0", True), ("0.1.0;EXACT", True), ("0.1...0.3", True),
                          ("0.2", False), ("0.0", False), ("1", False), ("0.1.9", False),
                          ("0.2...0.3", False), ("0.0...<0.1", False)):
        found = configure(moved, build, GCC, wanted)
        named = "heddle" in found.output and "version" in found.output
        if (found.status == 0) != taken or not (taken or named):
            problems.append(f"heddle {wanted} {found.how()}: {found.output}")
    return problems


def add_subproject(cases, folder):
    """Adds the case of the subproject."""
    cases.add("a meson project with heddle as its subproject, bare and optimised as a whole, with "
              f"{CLANG}", subproject, folder)


def subproject(folder):
    """heddle builds as part of a project, from no more than its own folders."""
    project = os.path.join(folder, "project")
    heddle = os.path.join(project, "subprojects", "heddle")
    shutil.copytree(source(os.path.join("projects", "meson")), project)
    for name in ("bare.cpp", "throwing.cpp"):
        shutil.copy(source(name), project)
    for name in ("arch", "runtime"):
        shutil.copytree(os.path.join(ROOT, name), os.path.join(heddle, name))
    for name in ("meson.build", "meson_options.txt"):
        shutil.copy(os.path.join(ROOT, name), heddle)
    build = os.path.join(folder, "project-build")
    command(["meson", "setup", build, project, "-Doptimization=1", "-Db_lto=true"],
            BUILD_LIMIT_S, CXX=CLANG)
    command(["ninja", "-C", build, "--quiet"], BUILD_LIMIT_S)
    return prints(os.path.join(build, "bare"), "bare")
