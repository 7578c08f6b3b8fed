"""Runs all benchmarks, prints a table and writes ``build/bench.json``."""

import sys
from pathlib import Path

from bench import index, matching
from bench.figures import table, write


def main() -> None:
    """Takes a few minutes on two cores."""
    found = [*index.figures(), *matching.figures()]
    sys.stdout.write(table(found) + "\n")
    write(found, Path("build/bench.json"))


if __name__ == "__main__":
    main()
