"""The files that the checks look at, and what a check is."""

import os
import subprocess
from dataclasses import dataclass

SOURCE = (".cpp", ".hpp", ".h", ".S")


class Tree:
    """A checkout, or a copy of one: paths relative to its root.

    `only` narrows what is inspected, not what exists: a self-test inspects the planted file.
    """

    def __init__(self, root, files, only=None):
        self.root = root
        self.files = frozenset(files)
        self.only = sorted(files) if only is None else only

    def each(self, *endings, under=""):
        """The paths to inspect that begin with `under` and end in one of `endings`."""
        return [path for path in self.only
                if path.startswith(under) and (not endings or path.endswith(endings))]

    def lines(self, path):
        """The lines of a file without their ends; bytes that are no text are replaced."""
        return self.text(path).splitlines()

    def text(self, path):
        """The whole text of a file."""
        with open(os.path.join(self.root, path), encoding="utf-8", errors="replace") as file:
            return file.read()

    def full(self, path):
        """The path as other programs need it."""
        return os.path.join(self.root, path)


def load(root):
    """The tree at `root`: what git tracks or would, or without git every file not built."""
    command = ["git", "-C", root, "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        names = listed.stdout.decode().split("\0") if listed.returncode == 0 else []
    except FileNotFoundError:
        names = []
    names = [name for name in names if os.path.isfile(os.path.join(root, name))]
    return Tree(root, names or list(_walk(root)))


def _walk(root):
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if name not in (".git", "build", "__pycache__")]
        for name in names:
            yield os.path.relpath(os.path.join(folder, name), root)


@dataclass(frozen=True)
class Plant:
    """A file put into a copy of the tree, and whether its check must report it."""

    path: str
    text: str
    reported: bool = True
    beside: tuple = ()  # further files, (path, text), that are planted with it


@dataclass(frozen=True)
class Check:
    """A named check: `find` takes a Tree and returns problems, lines that begin with the path."""

    name: str
    find: object
    plants: tuple
