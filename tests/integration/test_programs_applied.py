"""The applied programs: one for all instances, seen as mails before they count, worked off without old news."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, time, timedelta

import pytest
from sqlalchemy import func, select

from chassis.settings import StoreSettings
from schemas.programs import Program
from services.notifier.mail_difference import MailDifference, difference_in_mails
from services.notifier.programs import DEMO, AppliedPrograms, DemoValuesRefused, apply
from services.notifier.store.programs import add_programs
from services.notifier.tables import deliveries, history, outbox, patients, programs
from tests.support.clinic import Clinic, clinic, new_id
from tests.support.programs import CEDARS, PROGRAMS

VISIT = datetime(2027, 3, 16, 16, 30, tzinfo=UTC)
REAL = CEDARS.model_copy(update={"demo": False})
NOBODY = 9
"""A port on which nothing listens: no mail goes out here."""


@pytest.fixture
async def desk(store_settings: StoreSettings) -> AsyncIterator[Clinic]:
    async with clinic(store_settings, NOBODY) as opened:
        yield opened


async def book(desk: Clinic, start: datetime = VISIT) -> str:
    patient_id = new_id()
    visit = desk.visit(patient_id, new_id(), start, told=True)
    await desk.hear(desk.patient(patient_id, email=f"{patient_id}@example.org"), desk.enrolment(patient_id), visit)
    return patient_id


def at_hour(hour: int, version: str = "new") -> Program:
    """Cedars with its mail at another hour."""
    policy = CEDARS.policy.model_copy(update={"hour": time(hour)})
    return CEDARS.model_copy(update={"policy": policy, "version": version})


def with_steps(*steps: str) -> Program:
    """Cedars with other steps for a consultation on site."""
    consultation = CEDARS.visit_types["consultation"]
    on_site = consultation.steps["on-site"].model_copy(update={"steps": steps})
    changed = consultation.model_copy(update={"steps": {**consultation.steps, "on-site": on_site}})
    types = {**CEDARS.visit_types, "consultation": changed}
    return CEDARS.model_copy(update={"visit_types": types, "version": "-".join(steps)})


async def apply_now(desk: Clinic, program: Program) -> int:
    async with desk.notifier.store.write() as connection:
        return await apply(connection, {program.public_code: program}, desk.clock.now(), demo=True)


async def difference(desk: Clinic, *new: Program, examples: int = 20, page: int = 200) -> MailDifference:
    notifier = desk.notifier
    async with notifier.store.read() as connection:
        before = await notifier.planner.programs.current(connection)
    offered = {each.public_code: each for each in new}
    return await difference_in_mails(
        notifier.store, notifier.handlers.master, before, offered, desk.clock.now(), examples=examples, page=page
    )


async def hours(desk: Clinic) -> set[str]:
    return {row.due_local[-5:] for row in await desk.rows() if row.state == "planned"}


async def rows_of(desk: Clinic) -> list[int]:
    async with desk.notifier.store.read() as connection:
        tables = (patients, deliveries, history, outbox, programs)
        return [await connection.scalar(select(func.count()).select_from(each)) or 0 for each in tables]


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=list(PROGRAMS))
def test_a_program_comes_back_from_the_store_as_it_went_in(program: Program) -> None:
    assert Program.tolerant_json(program.model_dump_json()) == program


async def test_the_first_start_applies_the_files_and_later_starts_do_not(desk: Clinic) -> None:
    async with desk.notifier.store.read() as connection:
        assert list(await connection.execute(select(programs))) == []
    await desk.notifier.replanner.wave()
    other = AppliedPrograms({CEDARS.public_code: at_hour(15)}, demo=True)
    async with desk.notifier.store.write() as connection:
        await other.apply_first(connection, desk.clock.now())
        current = await other.current(connection)
    assert current == PROGRAMS
    assert other[CEDARS.public_code] == CEDARS


async def test_all_instances_plan_with_what_was_applied_and_see_it_at_once(desk: Clinic) -> None:
    await desk.notifier.replanner.wave()
    await book(desk)
    assert await hours(desk) == {"10:00"}
    assert await apply_now(desk, at_hour(11)) == 1
    await book(desk, VISIT + timedelta(hours=1))
    await desk.notifier.replanner.wave()
    assert await hours(desk) == {"11:00"}
    async with desk.notifier.store.read() as connection:
        assert await connection.scalar(select(func.count()).where(patients.c.stale)) == 0


async def test_applying_again_takes_effect_even_under_the_same_version(desk: Clinic) -> None:
    await book(desk)
    await apply_now(desk, at_hour(11, "same"))
    await desk.notifier.replanner.wave()
    desk.clock.advance_to(desk.clock.now() + timedelta(minutes=1))
    await apply_now(desk, at_hour(12, "same"))
    await desk.notifier.replanner.wave()
    assert await hours(desk) == {"12:00"}


async def test_a_new_step_that_is_past_is_not_created_and_one_ahead_is(desk: Clinic) -> None:
    await book(desk, VISIT + timedelta(days=6))
    desk.clock.advance_to(datetime(2027, 3, 5, 18, 0, tzinfo=UTC))
    await apply_now(desk, with_steps("P20D", "P14D", "P5D", "P3D", "P1D"))
    await desk.notifier.replanner.wave()
    assert [row.step for row in await desk.rows()] == ["P14D", "P5D", "P3D", "P1D"]


async def test_the_difference_counts_and_shows_what_would_be_added_moved_and_called_off(desk: Clinic) -> None:
    first, second = await book(desk), await book(desk, VISIT + timedelta(days=1))
    before = await rows_of(desk)
    moved = await difference(desk, at_hour(11))
    assert (moved.patients, moved.patients_changed) == (2, 2)
    assert moved.counts == {("moved", "appointment-reminder"): 6}
    assert {each.patient_id for each in moved.examples} == {first, second}
    one = moved.examples[0]
    assert one.due_before is not None
    assert one.due_at == one.due_before + timedelta(hours=1)
    other = await difference(desk, with_steps("P7D", "P3D", "P1D"), examples=3)
    assert other.counts == {("added", "appointment-reminder"): 2, ("cancelled", "appointment-reminder"): 2}
    assert len(other.examples) == 3
    assert (await difference(desk, CEDARS)).counts == {}
    assert await rows_of(desk) == before


async def test_the_difference_is_what_then_happens(desk: Clinic) -> None:
    await book(desk)
    program = with_steps("P7D", "P3D", "P1D")
    told = {(each.what, each.step) for each in (await difference(desk, program)).examples}
    await apply_now(desk, program)
    await desk.notifier.replanner.wave()
    states = {(row.step, row.state) for row in await desk.rows()}
    assert told == {("added", "P7D"), ("cancelled", "P14D")}
    assert states == {("P14D", "cancelled"), ("P7D", "planned"), ("P3D", "planned"), ("P1D", "planned")}


async def test_the_difference_leaves_out_what_would_change_anyway(desk: Clinic) -> None:
    """A patient who waits for a re-plan isn't the new programs' doing."""
    await book(desk)
    async with desk.notifier.store.write() as connection:
        await connection.execute(history.delete())
        await connection.execute(deliveries.delete().where(deliveries.c.step == "P1D"))
    assert (await difference(desk, CEDARS.model_copy(update={"version": "again"}))).counts == {}


async def test_many_patients_are_read_page_by_page(desk: Clinic) -> None:
    for _ in range(5):
        await book(desk)
    found = await difference(desk, at_hour(11), page=2)
    assert (found.patients, found.counts) == (5, {("moved", "appointment-reminder"): 15})


async def test_demo_values_are_refused_wherever_mail_goes_to_real_people(desk: Clinic) -> None:
    with pytest.raises(DemoValuesRefused):
        AppliedPrograms(PROGRAMS)
    async with desk.notifier.store.write() as connection:
        with pytest.raises(DemoValuesRefused):
            await apply(connection, PROGRAMS, desk.clock.now())
        await add_programs(connection, PROGRAMS.values(), desk.clock.now(), replace=True)
    real = AppliedPrograms({REAL.public_code: REAL})
    async with desk.notifier.store.read() as connection:
        loaded = await real.current(connection)
    assert {each.missing for each in loaded.values()} == {(DEMO,)}
