"""Two Django packages that queue mails in a database and send them, beside us: same sink, same PostgreSQL.

Each per processor second of its own processes, queueing and sending together; ours from a visit's event to the recorded
mail. The packages live in ``build/peers``, an environment of their own that is made here when ``PEERS=1`` asks for it.
"""

import asyncio
import os
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from bench.figures import Figure
from bench.sending import LATER, SAMPLE, at_work, book, due, prebuilt, send_all
from bench.sink import Sink, sink
from bench.spent import spent
from tests.support.clinic import Clinic
from tests.support.sending import FIRST, VISIT
from tests.support.stores import postgresql_schema

MAILS = 200
HOME = Path("build/peers")
PACKAGES = ("django-post_office==3.12.*", "django-mailer==2.3.*", "psycopg[binary]==3.*")
PEERS = {"post_office": "django-post_office 3.12, send_many, two processes", "mailer": "django-mailer 2.3"}


def figures(mails: int = MAILS) -> Iterator[Figure]:
    """About a minute; nothing unless ``PEERS=1``, and ``TEST_POSTGRES`` names a server."""
    if os.environ.get("PEERS") == "1" and "TEST_POSTGRES" in os.environ:
        yield from asyncio.run(_measured(mails))


async def _measured(mails: int) -> list[Figure]:
    await _install()
    with tempfile.TemporaryDirectory() as folder:
        async with sink(Path(folder) / "arrivals") as there:
            async with due(there.port, SAMPLE) as desk:
                desk.clock.advance_to(FIRST + LATER)
                size = len((await prebuilt(desk))[0].content)
            async with due(there.port, mails) as desk, at_work(desk):
                ours = mails / (await spent(partial(_told_and_sent, desk, mails))).cpu
            theirs = {peer: mails / await _peer(there, peer, mails, size) for peer in PEERS}
    return [
        Figure(f"queue + send, ours beside {PEERS[peer]}", ours, "mails/s of core", limit, "≥ 8")
        for peer, limit in theirs.items()
    ]


async def _told_and_sent(desk: Clinic, mails: int) -> None:
    """New patients with a visit each: more than a queue is told. The reminders that were due are sent beside them."""
    await book(desk, mails, VISIT + 2 * LATER)
    await send_all(desk)


async def _install() -> None:
    if (HOME / "bin" / "python").exists():
        return
    await _run(sys.executable, "-m", "venv", str(HOME))
    await _run(str(HOME / "bin" / "python"), "-m", "pip", "install", "--quiet", *PACKAGES)


async def _peer(there: Sink, peer: str, mails: int, size: int) -> float:
    """Processor seconds; ``RuntimeError`` unless every mail came."""
    before = there.count
    async with postgresql_schema() as store:
        arguments = (peer, store.url, store.schema_name or "", str(there.port), str(mails), str(size))
        said = await _run(str(HOME / "bin" / "python"), "bench/peer_django.py", *arguments)
    if there.count - before != mails:
        raise RuntimeError(f"{peer}: {there.count - before} of {mails} mails came")
    return float(said)


async def _run(*command: str) -> str:
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    said, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"{command[0]} ended with {process.returncode}")
    return said.decode()
