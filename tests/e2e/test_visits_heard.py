"""A visit on its whole way: booked and completed at intake, known to trials with its type, and nothing else of it."""

from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

import pytest

from schemas.appointment import AppointmentStatus
from schemas.protected import Protected
from services.trials.domain import Appointment
from services.trials.store.patients import read_patients
from services.trials.store.subjects import load_known
from tests.support.hospital import CEDARS, PACIFIC, Person, Town
from tests.support.programs import CEDARS as PROGRAM

pytestmark = pytest.mark.asyncio(loop_scope="module")

S = AppointmentStatus


async def known(town: Town, one: Person) -> tuple[Appointment, ...]:
    """The patient's appointments, as trials know them."""
    trials, key = town.hospital.system.trials, (PROGRAM.tenant, one.id)
    async with trials.store.read() as connection:
        locked = await read_patients(connection, [key], trials.resources.master)
        return (await load_known(connection, locked.values()))[key].appointments


async def test_trials_hear_of_a_visit_from_its_booking_to_its_removal(town: Town) -> None:
    ana = await town.patient("Ana")
    start = datetime.combine(town.day(1), time(10), ZoneInfo(PACIFIC)).astimezone(UTC)
    heard: list[Appointment] = []
    for event in (
        ana.booked(start, visit_type="consultation"), ana.became("arrived"), ana.became("completed"),
        ana.became("removed"),
    ):  # fmt: skip
        await town.hospital.tell(event)
        await town.hospital.settle()
        heard += await known(town, ana)
        await town.until(start)
    statuses = (S.BOOKED, S.ARRIVED, S.FULFILLED, S.ENTERED_IN_ERROR)
    assert heard == [Appointment(CEDARS, status, start, Protected("consultation")) for status in statuses]
