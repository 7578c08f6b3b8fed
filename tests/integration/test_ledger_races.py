"""Two processes and one ledger: who may claim, who waits for whom, and what one bad patient costs the others."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, event, insert, select, text, update

from chassis.consumer import DeadLetter
from chassis.decoding import Record
from chassis.settings import StoreSettings
from chassis.store import database_now
from schemas.outcomes import DeliveryState
from schemas.registry import INTAKE_EVENTS
from services.notifier.making import make
from services.notifier.store.claims import Claim, LostClaimError, claim_due, claim_uncertain
from services.notifier.store.patients import hold
from services.notifier.store.releases import release, release_expired
from services.notifier.tables import arming, deliveries, patients, worklist
from services.notifier.timers import Replanner
from tests.support.clinic import Clinic, clinic, new_id
from tests.support.eventually import eventually
from tests.support.sending import FIRST, VISIT, booked, check, claim, force, hand_over, one, read

pytest_plugins = ["tests.support.stores"]

NOBODY = 9


async def waiting(desk: Clinic) -> bool:
    """Whether a transaction waits for another's lock (PostgreSQL)."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    async with desk.notifier.store.read() as connection:
        return bool((await connection.execute(text(query))).scalar_one())


def on_postgresql(settings: StoreSettings) -> bool:
    return not settings.url.startswith("sqlite")


@asynccontextmanager
async def two_due(settings: StoreSettings) -> AsyncIterator[Clinic]:
    """A patient with two mails due on 2 March."""
    async with clinic(settings, NOBODY) as desk:
        patient, _ = await booked(desk)
        await desk.hear(desk.visit(patient, new_id(), VISIT + timedelta(hours=2), told=True))
        desk.clock.advance_to(FIRST)
        yield desk


async def test_two_senders_share_no_patient_and_never_wait_crosswise(store_settings: StoreSettings) -> None:
    async with two_due(store_settings) as desk:
        store = desk.notifier.store

        async def claim_one() -> int:
            async with store.write() as connection:
                return len(await claim_due(connection, FIRST, new_id(), 1))

        for _ in range(20):
            assert sum(await asyncio.gather(*(claim_one() for _ in range(4)))) == 1
            taken = [row for row in await desk.rows() if row.state == "claimed"]
            assert len(taken) == 2
            assert len({row.lease_token for row in taken}) == 1
            await force(desk, update(deliveries).values(state="planned", lease_token=None, lease_until=None))


async def test_a_patient_in_hand_waits_and_takes_no_other_patients_turn(store_settings: StoreSettings) -> None:
    async with clinic(store_settings, NOBODY) as desk:
        busy, _ = await booked(desk)
        await desk.hear(desk.visit(busy, new_id(), VISIT + timedelta(hours=2), told=True))
        first, second = [row.delivery_id for row in await desk.rows() if row.due_at == FIRST]
        await force(desk, update(deliveries).where(deliveries.c.delivery_id == second).values(priority=0))
        other, _ = await booked(desk, email="other@example.org")
        desk.clock.advance_to(FIRST)
        for state in ("claimed", "sending"):
            await force(desk, update(deliveries).where(deliveries.c.delivery_id == first).values(state=state))
            assert (await claim(desk)).key == ("cedars", other)
            await force(desk, update(deliveries).where(deliveries.c.patient_id == other).values(state="planned"))


async def test_a_patient_in_hand_holds_up_nobody_of_the_same_id_at_another_tenant(
    store_settings: StoreSettings,
) -> None:
    async with two_due(store_settings) as desk:
        first, second = [row.delivery_id for row in await desk.rows() if row.due_at == FIRST]
        await force(desk, update(deliveries).where(deliveries.c.delivery_id == first).values(state="sending"))
        await force(desk, update(patients).values(tenant="kaiser"))
        await force(desk, update(deliveries).where(deliveries.c.delivery_id == second).values(tenant="kaiser"))
        await force(desk, insert(arming).values(tenant="kaiser", armed_at=FIRST))
        assert (await claim(desk)).delivery_ids == (second,)


async def test_a_claim_made_between_the_look_and_the_claim_keeps_the_patient(store_settings: StoreSettings) -> None:
    async with two_due(store_settings) as desk:
        first = (await desk.rows())[0].delivery_id
        meanwhile: list[str] = []

        def another_claims(connection: Connection, _cursor: Any, statement: str, *_: Any) -> None:
            if statement.startswith("UPDATE deliveries") and not meanwhile:
                meanwhile.append(statement)
                theirs = update(deliveries).where(deliveries.c.delivery_id == first).values(state="claimed")
                connection.execute(theirs)

        async with desk.notifier.store.write() as connection:
            event.listen(connection.sync_connection, "before_cursor_execute", another_claims)
            assert await claim_due(connection, FIRST, new_id(), 1) == []
            event.remove(connection.sync_connection, "before_cursor_execute", another_claims)
        assert meanwhile


async def test_whose_claim_has_passed_to_another_looks_at_nothing(store_settings: StoreSettings) -> None:
    async with clinic(store_settings, NOBODY) as desk:
        await booked(desk)
        desk.clock.advance_to(FIRST)
        claimed = await claim(desk)
        await force(desk, update(deliveries).values(lease_until=database_now(-1)))
        await desk.notifier.sweeper.sweep()
        theirs = await claim(desk)
        assert await check(desk, claimed) is None
        assert await check(desk, replace(theirs, delivery_ids=())) is None
        row = await one(desk, "P14D")
        assert (row.state, row.lease_token) == ("claimed", theirs.token)
        assert await check(desk, theirs) is not None


async def test_what_is_backed_off_or_of_no_use_any_more_is_not_claimed(store_settings: StoreSettings) -> None:
    async with clinic(store_settings, NOBODY) as desk:
        await booked(desk)
        await force(desk, update(deliveries).where(deliveries.c.step != "P14D").values(due_at=VISIT))
        useful_until = (await one(desk, "P14D")).useful_until

        async def claims(civil: datetime) -> int:
            async with desk.notifier.store.write() as connection:
                return len(await claim_due(connection, civil, new_id(), 9))

        assert await claims(useful_until) == 0
        await force(desk, update(deliveries).values(not_before=database_now(60)))
        assert await claims(FIRST) == 0
        await force(desk, update(deliveries).values(not_before=database_now(-1)))
        assert await claims(FIRST) == 1
        assert [row.step for row in await desk.rows() if row.state == "claimed"] == ["P14D"]
        assert await claims(FIRST) == 0


async def test_a_claim_that_has_run_out_or_passed_to_another_sends_nothing(store_settings: StoreSettings) -> None:
    async with clinic(store_settings, NOBODY) as desk:
        await booked(desk)
        desk.clock.advance_to(FIRST)
        others: list[dict[str, Any]] = [
            {"lease_until": database_now(-1)}, {"lease_token": new_id()}, {"state": "planned"},
            {"cancel_requested": "superseded"},
        ]  # fmt: skip
        for changed in others:
            claimed = await claim(desk)
            ready = await check(desk, claimed)
            assert ready is not None
            await force(desk, update(deliveries).where(deliveries.c.step == "P14D").values(**changed))
            with pytest.raises(LostClaimError):
                await desk.notifier.sender.commits.enter_sending(claimed, ready, make(ready))
            free = {"state": "planned", "lease_token": None, "lease_until": None, "cancel_requested": None}
            await force(desk, update(deliveries).values(**free))


async def test_only_the_holder_of_a_claim_gives_it_back_and_only_while_it_is_claimed(
    store_settings: StoreSettings,
) -> None:
    async with clinic(store_settings, NOBODY) as desk:
        await booked(desk)
        desk.clock.advance_to(FIRST)
        claimed = await claim(desk)

        async def give_back(which: Claim) -> str:
            async with desk.notifier.store.write() as connection:
                await release(connection, which, which.delivery_ids, back_off=60)
            return str((await one(desk, "P14D")).state)

        assert await give_back(replace(claimed, token=new_id())) == "claimed"
        await desk.notifier.sweeper.sweep()
        assert (await one(desk, "P14D")).state == "claimed"
        await hand_over(desk, claimed)
        assert await give_back(claimed) == "sending"
        await desk.notifier.sweeper.sweep()
        assert (await one(desk, "P14D")).state == "sending"
        await force(desk, update(deliveries).values(state="claimed"))
        assert await give_back(claimed) == "planned"
        assert (await one(desk, "P14D")).not_before is not None


async def test_who_comes_while_another_claims_takes_nothing_of_that_patient(store_settings: StoreSettings) -> None:
    if not on_postgresql(store_settings):
        pytest.skip("one writer at a time")
    async with two_due(store_settings) as desk:
        first, second = [row.delivery_id for row in await desk.rows() if row.due_at == FIRST]
        await force(desk, update(deliveries).where(deliveries.c.delivery_id == second).values(due_at=VISIT))
        async with desk.notifier.store.write() as connection:
            [claimed] = await claim_due(connection, FIRST, new_id(), 1)
            assert claimed.delivery_ids == (first,)
            # meanwhile the other falls due, and another sender looks
            other = update(deliveries).where(deliveries.c.delivery_id == second).values(due_at=FIRST)
            await force(desk, other)
            async with desk.notifier.store.write() as theirs:
                assert await claim_due(theirs, FIRST, new_id(), 1) == []


async def test_two_patients_who_give_up_one_address_at_once_do_not_wait_crosswise(
    store_settings: StoreSettings,
) -> None:
    async with clinic(store_settings, NOBODY) as desk:
        one_patient, _ = await booked(desk, email="shared@example.org")
        other, _ = await booked(desk, email="shared@example.org")
        for round_ in range(15):
            moves = [desk.patient(each, email=f"{each}.{round_}@example.org") for each in (one_patient, other)]
            await asyncio.gather(*(desk.hear(move) for move in moves))
            back = [desk.patient(each, email="shared@example.org") for each in (one_patient, other)]
            await asyncio.gather(*(desk.hear(move) for move in back))


async def test_claims_are_given_back_only_by_who_holds_the_patient(store_settings: StoreSettings) -> None:
    if not on_postgresql(store_settings):
        pytest.skip("one writer at a time")
    async with two_due(store_settings) as desk:
        store = desk.notifier.store

        async def give_back(claimed: Claim) -> None:
            async with store.write() as connection:
                await release(connection, claimed, claimed.delivery_ids)

        async def sweep(claimed: Claim) -> None:
            async with store.write() as connection:
                await release_expired(connection)

        for action in (give_back, sweep):
            claimed = await claim(desk)
            await force(desk, update(deliveries).values(lease_until=database_now(-1)))
            async with store.write() as connection:
                await connection.execute(select(patients.c.revision).with_for_update())
                task = asyncio.create_task(action(claimed))
                await eventually(lambda: waiting(desk))
                assert {row.state for row in await desk.rows()} == {"claimed", "planned"}
            await task
            assert {row.state for row in await desk.rows()} == {"planned"}


async def test_a_notice_is_repeated_by_one_sender_alone(store_settings: StoreSettings) -> None:
    async with clinic(store_settings, NOBODY) as desk:
        await booked(desk)
        desk.clock.advance_to(FIRST)
        await hand_over(desk, await claim(desk))
        lost: dict[str, Any] = {
            "state": "uncertain", "kind": "appointment-cancellation", "lease_until": database_now(-1),
        }  # fmt: skip
        await force(desk, update(deliveries).where(deliveries.c.step == "P14D").values(**lost))

        async def claim_it() -> int:
            async with desk.notifier.store.write() as connection:
                return len(await claim_uncertain(connection, FIRST, new_id(), 5))

        assert sum(await asyncio.gather(*(claim_it() for _ in range(4)))) == 1


async def test_the_same_patient_id_at_two_tenants_is_two_patients(store_settings: StoreSettings) -> None:
    async with clinic(store_settings, NOBODY) as desk:
        patient, visit = await booked(desk)
        other = desk.patient(patient, email="else@example.org")
        desk.tenant = "kaiser"
        there = desk.patient(patient, email="ana@example.org")
        await desk.hear(there, desk.enrolment(patient), desk.visit(patient, visit, VISIT, told=True))
        desk.tenant = "cedars"
        await desk.hear(other)
        desk.clock.advance_to(FIRST)
        claimed = await claim(desk)
        assert claimed.key == ("cedars", patient)
        ready = await check(desk, claimed)
        assert ready is not None
        assert ready.sending.truth.patient is not None
        assert ready.sending.truth.patient.email is not None
        assert ready.sending.truth.patient.email.reveal() == "else@example.org"


def letter(key: str, tenant: str | None) -> DeadLetter:
    record = Record(INTAKE_EVENTS, 0, 0, 0, key.encode(), (), b"?")
    return DeadLetter(record, "bad_payload", "builtins.ValueError", key, tenant, "patient.updated")


@pytest.mark.parametrize(
    ("key", "tenant"), [("k" * 255, "cedars"), ("hello", "cedars"), ("hello", None), (str(uuid.UUID(int=1)), "t" * 255)]
)
async def test_a_letter_whose_names_can_be_nobodys_holds_up_no_partition(
    store_settings: StoreSettings, key: str, tenant: str | None
) -> None:
    async with clinic(store_settings, NOBODY) as desk:
        async with desk.notifier.store.write() as connection:
            await desk.notifier.handlers.buried(connection, [letter(key, tenant)])
        assert await read(desk, select(patients)) == []
        assert await read(desk, select(worklist)) == []
        async with desk.notifier.store.write() as connection:
            assert not await desk.notifier.handlers.released(connection, letter(key, tenant), None)


async def test_a_letter_is_held_against_the_patient_however_its_key_is_spelt(store_settings: StoreSettings) -> None:
    async with clinic(store_settings, NOBODY) as desk:
        patient, _ = await booked(desk)
        for spelt, tenant in ((patient.upper(), "cedars"), (patient, "t" * 255)):
            async with desk.notifier.store.write() as connection:
                await desk.notifier.handlers.buried(connection, [letter(spelt, tenant)])
        assert [row.incomplete for row in await read(desk, select(patients))] == [2]


async def test_letters_lock_their_patients_in_the_order_of_everybody_else(store_settings: StoreSettings) -> None:
    if not on_postgresql(store_settings):
        pytest.skip("SQLite has one writer")
    async with clinic(store_settings, NOBODY) as desk:
        first, second = sorted([(await booked(desk, email=f"{each}@example.org"))[0] for each in "ab"])
        handlers, store = desk.notifier.handlers, desk.notifier.store

        async def bury_both() -> None:
            async with store.write() as connection:
                await handlers.buried(connection, [letter(second, "cedars"), letter(first, "cedars")])

        async with store.write() as connection:
            await hold(connection, [("cedars", first)])
            burying = asyncio.create_task(bury_both())
            await eventually(lambda: waiting(desk))
            await hold(connection, [("cedars", second)])  # held by who waits for the first, it would be a deadlock
        await burying
        assert [row.incomplete for row in await read(desk, select(patients))] == [1, 1]


async def test_a_letter_of_no_tenant_releases_its_patients_in_that_order_too(store_settings: StoreSettings) -> None:
    if not on_postgresql(store_settings):
        pytest.skip("SQLite has one writer")
    async with clinic(store_settings, NOBODY) as desk:
        desk.tenant = "kaiser"
        patient = new_id()
        await desk.hear(desk.patient(patient))  # found first
        desk.tenant = "cedars"
        await desk.hear(desk.patient(patient))
        handlers, store = desk.notifier.handlers, desk.notifier.store
        nobodys = letter(patient, None)
        async with store.write() as connection:
            await handlers.buried(connection, [nobodys])

        async def dismiss() -> None:
            async with store.write() as connection:
                await handlers.released(connection, nobodys, None)

        async with store.write() as connection:
            await hold(connection, [("cedars", patient)])
            releasing = asyncio.create_task(dismiss())
            await eventually(lambda: waiting(desk))
            await hold(connection, [("kaiser", patient)])
        await releasing
        assert [row.incomplete for row in await read(desk, select(patients))] == [0, 0]


async def test_a_patient_who_cannot_be_planned_holds_up_nobody_else(store_settings: StoreSettings) -> None:
    async with clinic(store_settings, NOBODY) as desk:
        bad, _ = await booked(desk, email="bad@example.org")
        good, _ = await booked(desk, email="good@example.org")
        await force(desk, update(patients).values(stale=True))
        await force(desk, update(patients).where(patients.c.patient_id == bad).values(data_key=b"?"))
        replanner = desk.notifier.replanner
        assert await replanner.wave() == 2
        [left] = await read(desk, select(patients).where(patients.c.stale))
        assert left.patient_id == bad
        assert await replanner.wave() == 0
        assert replanner.status() == {"planned": 1, "failed": 1}
        assert good != bad


async def test_whoever_was_planned_again_is_told_to_the_sender(store_settings: StoreSettings) -> None:
    async with clinic(store_settings, NOBODY) as desk:
        await booked(desk)
        await force(desk, update(patients).values(stale=True))
        woken, stopping = asyncio.Event(), asyncio.Event()
        planner, master = desk.notifier.planner, desk.notifier.replanner.master
        working = asyncio.create_task(Replanner(desk.notifier.store, planner, master, woken.set).run(stopping))
        await eventually(woken.is_set)
        assert not [each for each in await read(desk, select(patients)) if each.stale]
        stopping.set()
        await working


async def test_a_receipt_that_cannot_be_recorded_holds_up_no_other(store_settings: StoreSettings) -> None:
    async with clinic(store_settings, NOBODY) as desk:
        bad, _ = await booked(desk, email="bad@example.org")
        await booked(desk, email="good@example.org")
        desk.clock.advance_to(FIRST)
        for _ in range(2):
            await hand_over(desk, await claim(desk))
        await force(desk, update(deliveries).values(lease_until=database_now(-1)))
        await force(desk, update(patients).where(patients.c.patient_id == bad).values(data_key=b"?"))
        await desk.notifier.sweeper.sweep()
        states = {row.patient_id == bad: row.state for row in await desk.rows() if row.step == "P14D"}
        assert states == {True: DeliveryState.SENDING, False: DeliveryState.UNCERTAIN}
        assert desk.notifier.sweeper.status() == {"uncertain_found": 1}


async def test_mail_that_lost_its_use_is_called_missed_whoever_else_is_due(store_settings: StoreSettings) -> None:
    async with clinic(store_settings, NOBODY) as desk:
        await booked(desk)
        await force(desk, update(patients).values(replan_at=None, stale=False))
        desk.clock.advance_to((await one(desk, "P14D")).useful_until)
        assert await desk.notifier.replanner.wave() == 1
        assert (await one(desk, "P14D")).state == "missed"
