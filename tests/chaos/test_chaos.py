"""The short form of ``make chaos``: five kills and every fault once, on servers of its own."""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import pytest

from tests.support.processes import ROOT

pytestmark = [
    pytest.mark.servers,
    pytest.mark.skipif("TEST_SERVERS" not in os.environ, reason="needs TEST_SERVERS"),
    pytest.mark.timeout(900),
]


async def test_whatever_befalls_the_services_nothing_is_lost_and_nothing_comes_twice(tmp_path: Path) -> None:
    told = tmp_path / "chaos.json"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.chaos", "--short", "--json", str(told),
        cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGINT)  # it stops its servers then
            await process.wait()
    assert process.returncode == 0, said.decode()
    report = json.loads(told.read_text())
    assert report["well"]
    assert sum(each["outcome"]["sent"] for each in report["rounds"]) > 0
