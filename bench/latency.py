"""From an event's publishing to its mail's acceptance, while 200 events a second come to a notifier process.

One event in ten books a visit whose mail is owed at once; half of the others move a visit that is far away, half change
nothing. Real servers, a real process, sixteen connections, and no settling time after an edit.
"""

import asyncio
import os
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

from aiokafka import AIOKafkaProducer

from bench.figures import Figure
from bench.sink import Sink, sink
from bench.site import Site, site
from chassis.clock import SimulatedClock
from chassis.kafka import client_options
from services.notifier.app import Notifier
from tests.support.clinic import Clinic, new_id
from tests.support.eventually import eventually

RATE, SECONDS, ONE_IN = 200, 15, 10


def figures(rate: int = RATE, seconds: int = SECONDS) -> Iterator[Figure]:
    """About a minute; nothing without the servers that ``TEST_KAFKA`` and ``TEST_POSTGRES`` name."""
    if not ("TEST_KAFKA" in os.environ and "TEST_POSTGRES" in os.environ):
        return
    took = sorted(asyncio.run(_measured(rate, seconds)))
    of = f"publish → SMTP accepted at {rate} events/s, {rate // ONE_IN} mails/s"
    yield Figure(f"{of}, p50", took[len(took) // 2] * 1e3, "ms")
    yield Figure(f"{of}, p99", took[int(len(took) * 0.99)] * 1e3, "ms", goal="≤ 300")


async def _measured(rate: int, seconds: int) -> list[float]:
    with tempfile.TemporaryDirectory() as folder:
        async with sink(Path(folder) / "arrivals") as there, site(there.port, "notifier") as ours:
            producer = AIOKafkaProducer(**client_options(ours.kafka), acks="all")
            await producer.start()
            try:
                return await _published(ours, there, producer, rate, seconds)
            finally:
                await producer.stop()


async def _published(ours: Site, there: Sink, producer: AIOKafkaProducer, rate: int, seconds: int) -> list[float]:
    desk = Clinic(cast(Notifier, None), SimulatedClock(datetime.now(UTC)), ours.contact)  # it only makes events
    await ours.beat()
    people = {new_id(): new_id() for _ in range(rate * seconds // ONE_IN)}
    for each in people:
        await _send(producer, desk, _as_before(desk, each))
        await _send(producer, desk, desk.enrolment(each))
    await _booked(producer, desk, first := new_id())
    await eventually(lambda: _address(first) in there.arrived(), within=120)
    sent = await _paced(producer, desk, people, rate)
    await eventually(lambda: sent.keys() <= there.arrived().keys(), within=120)
    arrived = there.arrived()
    return [arrived[address] - at for address, at in sent.items()]


async def _paced(producer: AIOKafkaProducer, desk: Clinic, people: dict[str, str], rate: int) -> dict[str, float]:
    """Each tenth of a second its share; by address, when the event was published that owes it a mail."""
    sent, began, ids = {}, time.monotonic(), list(people)
    near, far = desk.clock.now() + timedelta(days=10), desk.clock.now() + timedelta(days=90)
    for number in range(len(people) * ONE_IN):
        if number % (rate // 10) == 0:
            await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()))
        each = ids[number // ONE_IN]
        if number % ONE_IN == 0:
            event = desk.visit(each, people[each], near)
            sent[_address(each)] = time.monotonic()
        else:
            other = ids[(number * 7) % len(ids)]
            event = _as_before(desk, other) if number % 2 else desk.visit(other, other, far, told=True)
            far += timedelta(minutes=5)
        await _send(producer, desk, event)
    return sent


def _address(patient_id: str) -> str:
    return f"{patient_id}@example.org"


def _as_before(desk: Clinic, patient_id: str) -> Any:
    return desk.patient(patient_id, email=_address(patient_id))


async def _booked(producer: AIOKafkaProducer, desk: Clinic, patient_id: str) -> None:
    """A mail that comes after everything before it was handled: of its partition, and soon of all."""
    visit = desk.visit(patient_id, new_id(), desk.clock.now() + timedelta(days=10))
    for event in (_as_before(desk, patient_id), desk.enrolment(patient_id), visit):
        await _send(producer, desk, event)


async def _send(producer: AIOKafkaProducer, desk: Clinic, event: Any) -> None:
    message = desk.message(event)
    await producer.send(message.topic, message.value, message.key, headers=list(message.headers))
