"""Runs all benchmarks, or those that are named; prints a table and adds to ``build/bench.json``."""

import logging
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from bench import claiming, consuming, idle, index, latency, matching, peers, posting, sending
from bench.figures import Figure, table, write
from chassis.garbage import keep_what_is_loaded

BENCHES: Mapping[str, Callable[[], Iterator[Figure]]] = {
    "consuming": consuming.figures,
    "posting": posting.figures,
    "sending": sending.figures,
    "claiming": claiming.figures,
    "latency": latency.figures,
    "idle": idle.figures,
    "peers": peers.figures,
    "index": index.figures,
    "matching": matching.figures,
}


def main(names: list[str]) -> None:
    """Each prints its table as soon as it is done."""
    if unknown := set(names) - BENCHES.keys():
        sys.exit(f"no such benchmark: {', '.join(sorted(unknown))}; there are {', '.join(BENCHES)}")
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # it laments while a new group has no coordinator yet
    keep_what_is_loaded()  # as each service's process does
    for name in names or BENCHES:
        found = list(BENCHES[name]())
        sys.stdout.write(table(found) + "\n\n")
        sys.stdout.flush()
        write(found, Path("build/bench.json"))


if __name__ == "__main__":
    main(sys.argv[1:])
