"""Runs all benchmarks, prints a table and writes ``build/bench.json``."""

import sys
from pathlib import Path

from bench.figures import table, write
from bench.index import figures


def main() -> None:
    """Takes a few minutes on two cores."""
    found = list(figures())
    sys.stdout.write(table(found) + "\n")
    write(found, Path("build/bench.json"))


if __name__ == "__main__":
    main()
