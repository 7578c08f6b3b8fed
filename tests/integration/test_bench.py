"""The benchmarks run: what they measure is looked at by people, not asserted here."""

import os
from pathlib import Path

import pytest
from aiosmtplib import SMTP

from bench import claiming
from bench.__main__ import BENCHES
from bench.figures import Figure, table, write
from bench.sink import sink


async def test_the_sink_takes_every_mail_and_says_when(tmp_path: Path) -> None:
    async with sink(tmp_path / "arrivals") as there, SMTP(hostname="127.0.0.1", port=there.port) as smtp:
        for name in ("ana", "lars"):
            await smtp.sendmail("clinic@example.org", [f"{name}@example.org"], b"Subject: x\r\n\r\nHello\r\n..\r\n")
        assert there.count == 2
        assert list(there.arrived()) == ["ana@example.org", "lars@example.org"]


def test_of_a_speed_more_is_better_and_of_a_time_less(tmp_path: Path) -> None:
    fast, quick = Figure("fast", 50, "mails/s", 100, "≥ 0.7"), Figure("quick", 50, "ms", 100)
    assert (fast.ratio, quick.ratio) == (0.5, 2.0)
    assert "≥ 0.7" in table([fast, quick])
    write([fast], tmp_path / "bench.json")
    write([quick], tmp_path / "bench.json")
    assert (tmp_path / "bench.json").read_text().count('"ratio"') == 2


def test_every_benchmark_has_a_name() -> None:
    assert {"consuming", "posting", "sending", "claiming", "latency", "idle", "peers"} <= BENCHES.keys()


@pytest.mark.servers
@pytest.mark.skipif("TEST_POSTGRES" not in os.environ, reason="it is measured on PostgreSQL")
def test_a_small_measurement_of_claims_runs() -> None:
    assert [each.ours > 0 for each in claiming.figures((100, 200), times=1)] == [True, True]
