"""Due deliveries to recorded mails, beside the same bytes sent by aiosmtplib's ``sendmail`` with nothing recorded.

Sixteen connections each, to one quick sink. Every round has a fresh store; the best of some rounds counts.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from functools import partial

from aiosmtplib import SMTP
from sqlalchemy import func, select

from bench.figures import Figure
from bench.sink import sink
from bench.spent import Spent, best, spent
from services.notifier.making import Made, make
from services.notifier.store.claims import claim_due
from services.notifier.tables import deliveries
from tests.support.clinic import Clinic, clinic, new_id
from tests.support.eventually import eventually
from tests.support.sending import FIRST, VISIT, check
from tests.support.stores import postgresql_schema

CONNECTIONS, MAILS, ROUNDS, CHUNK, SAMPLE, WARM = 16, 240, 2, 80, 40, 64
LATER = timedelta(days=7)
_SPEED, _PER_CORE = "mails/s", "mails/s of core"


def figures(mails: int = MAILS, rounds: int = ROUNDS) -> Iterator[Figure]:
    """Takes about a minute."""
    measured = asyncio.run(_measured(mails, rounds))
    ours, limit = best([each for each, _ in measured]), best([each for _, each in measured])
    of = f"due → guarded → rendered → accepted → recorded, {CONNECTIONS} connections"
    yield Figure(of, mails / ours.wall, _SPEED, mails / limit.wall, "≥ 0.7")
    yield Figure(f"{of}, of our process", mails / ours.cpu, _PER_CORE, mails / limit.cpu, "≥ 2,000")
    if ours.store:
        yield Figure("PostgreSQL's processor time per mail", ours.store / mails * 1e3, "ms")


async def _measured(mails: int, rounds: int) -> list[tuple[Spent, Spent]]:
    found = []
    async with sink() as there:
        for _ in range(rounds):
            async with due(there.port, SAMPLE) as desk:
                desk.clock.advance_to(FIRST + LATER)
                made = await prebuilt(desk)
            async with due(there.port, mails) as desk, at_work(desk):
                ours = await spent(partial(send_all, desk), desk.notifier.store)
            limit = await spent(partial(_bare, there.port, made, mails))
            found.append((ours, limit))
    return found


@asynccontextmanager
async def due(port: int, mails: int) -> AsyncIterator[Clinic]:
    """As many patients with a reminder that is due ``LATER`` than those of some others, with whom a sender warms up."""
    async with postgresql_schema() as store, clinic(store, port, connections=CONNECTIONS) as desk:
        await book(desk, WARM, VISIT)
        await book(desk, mails, VISIT + LATER)
        yield desk


async def book(desk: Clinic, many: int, start: datetime) -> None:
    for at in range(0, many, CHUNK):
        people = [new_id() for _ in range(min(CHUNK, many - at))]
        known = [(desk.patient(each, email=f"{each}@example.org"), desk.enrolment(each)) for each in people]
        visits = [desk.visit(each, new_id(), start, told=True) for each in people]
        await desk.hear(*(event for pair in known for event in pair), *visits)


@asynccontextmanager
async def at_work(desk: Clinic) -> AsyncIterator[None]:
    """The sender runs, and has its connections and what they remember of statements."""
    stopping = asyncio.Event()
    sender = asyncio.create_task(desk.notifier.sender.run(stopping))
    await _sent_until(desk, FIRST)
    yield
    stopping.set()
    await sender


async def send_all(desk: Clinic) -> None:
    await _sent_until(desk, FIRST + LATER)


async def _sent_until(desk: Clinic, moment: datetime) -> None:
    """Let it be ``moment``, and wait until all that is due is sent and recorded."""
    desk.clock.advance_to(moment)
    desk.notifier.sender.nudge()
    await eventually(lambda: _none_is_open(desk), within=400)


async def _none_is_open(desk: Clinic) -> bool:
    query = select(func.count()).where(deliveries.c.state != "sent", deliveries.c.due_at <= desk.clock.now())
    async with desk.notifier.store.read() as connection:
        return not (await connection.execute(query)).scalar_one()


async def prebuilt(desk: Clinic) -> list[Made]:
    """Some of the mails that the sender would make, finished."""
    async with desk.notifier.store.write() as connection:
        claims = await claim_due(connection, desk.clock.now(), new_id(), SAMPLE)
    ready = [await check(desk, each) for each in claims]
    return [make(each) for each in ready if each]


async def _bare(port: int, made: Sequence[Made], mails: int) -> None:
    """``sendmail`` alone; each connection has its share."""

    async def share(number: int) -> None:
        async with SMTP(hostname="127.0.0.1", port=port, start_tls=False) as smtp:
            for at in range(number, mails, CONNECTIONS):
                each = made[at % len(made)]
                await smtp.sendmail(each.sender, [each.recipient], each.content)

    await asyncio.gather(*(share(number) for number in range(CONNECTIONS)))
