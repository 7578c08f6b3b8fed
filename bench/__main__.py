"""Runs all benchmarks, or those that are named; prints a table and adds to ``build/bench.json``."""

import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from bench import index, matching, sending
from bench.figures import Figure, table, write

BENCHES: Mapping[str, Callable[[], Iterator[Figure]]] = {
    "sending": sending.figures,
    "index": index.figures,
    "matching": matching.figures,
}


def main(names: list[str]) -> None:
    """Each prints its table as soon as it is done."""
    if unknown := set(names) - BENCHES.keys():
        sys.exit(f"no such benchmark: {', '.join(sorted(unknown))}; there are {', '.join(BENCHES)}")
    for name in names or BENCHES:
        found = list(BENCHES[name]())
        sys.stdout.write(table(found) + "\n\n")
        sys.stdout.flush()
        write(found, Path("build/bench.json"))


if __name__ == "__main__":
    main(sys.argv[1:])
