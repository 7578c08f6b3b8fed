"""The same files as others last saw them: at the commit from which this one goes on, as far as git knows it."""

import subprocess
from pathlib import Path

BASES = ("origin/main", "origin/HEAD", "HEAD")


def base_commit(root: Path, against: str | None = None) -> str | None:
    """The merge base with ``against``, or with the first of ``BASES`` that exists; None without a history."""
    for name in (against,) if against else BASES:
        if commit := _git(root, "merge-base", "HEAD", name):
            return commit.decode().strip()
    return None


def files_at(root: Path, commit: str) -> dict[str, bytes]:
    """The files below ``root`` in that commit, by path below ``root``."""
    listed = _git(root, "ls-tree", "-r", "-z", "--name-only", commit, "generated", "examples") or b""
    names = [name.decode() for name in listed.split(b"\0") if name]
    return {name: _git(root, "show", f"{commit}:./{name}") or b"" for name in names}


def _git(root: Path, *arguments: str) -> bytes | None:
    """What git says; None when there is no git, no repository, or no such thing in it."""
    try:
        done = subprocess.run(["git", "-C", root, *arguments], capture_output=True, check=False)  # noqa: S607  # the PATH's
    except FileNotFoundError:
        return None
    return done.stdout if done.returncode == 0 else None
