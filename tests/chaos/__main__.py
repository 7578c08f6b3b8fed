"""``python -m tests.chaos``: see the package."""

import argparse
import asyncio
import logging
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.chaos import report
from tests.chaos.load import Client
from tests.chaos.log import Log
from tests.chaos.plan import faults, short
from tests.chaos.rounds import Fault, Row, Scene, all_again, play
from tests.chaos.site import opened
from tests.chaos.watch import watching
from tests.support.servers import own_pair

JSON = Path("build/chaos.json")


async def run(chosen: Sequence[Fault], *, away: float) -> list[Row]:
    """All of them on one installation, one after another."""
    rows: list[Row] = []
    with own_pair() as pair, tempfile.TemporaryDirectory() as folder:
        async with opened(pair, Path(folder)) as site, watching(site.stores["notifier"]) as watch:
            scene = Scene(site, watch, Client(site.urls, site.token), Log(pair.kafka), away)
            print(report.HEAD, flush=True)
            for fault in chosen:
                rows.append(await play(scene, fault))
                print(report.line(rows[-1]), flush=True)
            rows.append(await all_again(scene))
            print(report.line(rows[-1]), flush=True)
    return rows


def main(arguments: Sequence[str]) -> int:
    """0 when nothing was lost and nothing came twice."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos")
    parser.add_argument("--kills", type=int, default=200, help="how many services die at random")
    parser.add_argument("--short", action="store_true", help="five kills, and outages of seconds")
    parser.add_argument("--away", type=float, help="for how many seconds a server stays away: 600, in short 5")
    parser.add_argument("--only", nargs="+", default=[""], help="faults whose name holds one of these")
    parser.add_argument("--json", type=Path, default=JSON, help="where the report goes")
    asked = parser.parse_args(arguments)
    planned = short() if asked.short else faults(asked.kills)
    chosen = [each for each in planned if any(part in each.name for part in asked.only)]
    away = asked.away or (5.0 if asked.short else 600.0)
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # what the broker refuses meanwhile, each time
    began = time.monotonic()
    rows = asyncio.run(run(chosen, away=away))
    seconds = time.monotonic() - began
    report.write(asked.json, report.as_json(rows, short=asked.short, away=away, seconds=round(seconds)))
    print(f"{'nothing lost, nothing twice' if report.well(rows) else 'NOT WELL'}, {seconds:.0f} s")
    return 0 if report.well(rows) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
