"""What the guard is shown beside truth and ledger: whose mails count, how old, how they ended, and which addresses."""

from datetime import timedelta
from typing import Any

from sqlalchemy import delete, insert, update

from chassis.settings import StoreSettings
from chassis.store import database_now
from schemas.outcomes import Kind
from services.notifier.domain import Truth
from services.notifier.guard import SentMail
from services.notifier.store.moments import Look, look
from services.notifier.tables import consumer, mails, suppressions
from tests.support.charts import known_trial, patient
from tests.support.clinic import Clinic, clinic, new_id
from tests.support.programs import CEDARS, KAISER
from tests.support.sending import FIRST, force

pytest_plugins = ["tests.support.stores"]

NOBODY = 9
ME, MINE, THEIRS = new_id(), "a" * 64, "b" * 64
TRUTH = Truth("cedars", ME, patient(email_hash=MINE))
SECOND, HOUR = timedelta(seconds=1), timedelta(hours=1)


async def sent(desk: Clinic, **changes: Any) -> None:
    """A mail to me, just now, accepted."""
    one = {
        "mail_id": new_id(), "tenant": "cedars", "patient_id": ME, "program": CEDARS.public_code,
        "kind": "appointment-reminder", "tier": 0, "message_id": "m", "address_hash": MINE, "program_version": "v",
        "template_version": "v", "looked_at": "{}", "sending_at": FIRST, "verdict": "accepted",
    }  # fmt: skip
    await force(desk, insert(mails).values(one | changes))


async def seen(desk: Clinic, truth: Truth = TRUTH) -> Look:
    """At a program that may send two mails an hour."""
    policy = CEDARS.policy.model_copy(update={"volume_per_hour": 2})
    async with desk.notifier.store.read() as connection:
        key, programs = (truth.tenant, truth.patient_id), [CEDARS.model_copy(update={"policy": policy})]
        return (await look(connection, {key: truth}, programs, lambda _: None, FIRST))[key]


async def test_a_mail_of_eight_days_counts_that_may_have_reached_this_patient_or_address(
    store_settings: StoreSettings,
) -> None:
    counts: list[dict[str, Any]] = [
        {}, {"verdict": None}, {"verdict": "uncertain"}, {"address_hash": THEIRS}, {"patient_id": new_id()},
        {"sending_at": FIRST - timedelta(days=8) + SECOND}, {"program": "zzzz"},
    ]  # fmt: skip
    does_not: list[dict[str, Any]] = [
        {"verdict": "unsent"}, {"verdict": "retry"}, {"verdict": "refused"}, {"tenant": "kaiser"},
        {"patient_id": new_id(), "address_hash": THEIRS}, {"sending_at": FIRST - timedelta(days=8)},
    ]  # fmt: skip
    async with clinic(store_settings, NOBODY) as desk:
        for changes in does_not:
            await sent(desk, **changes)
            assert (await seen(desk)).moment.sent == (), changes
        for changes in counts:
            await sent(desk, **changes)
            assert (await seen(desk)).moment.sent == (SentMail(Kind.REMINDER, changes.get("sending_at", FIRST)),)
            await force(desk, delete(mails))


async def test_the_last_mail_that_a_program_may_send_in_an_hour_opens_its_breaker(
    store_settings: StoreSettings,
) -> None:
    does_not: list[dict[str, Any]] = [{"verdict": "refused"}, {"program": "zzzz"}, {"sending_at": FIRST - HOUR}]
    counts: list[dict[str, Any]] = [{}, {"verdict": None}, {"sending_at": FIRST - HOUR + SECOND}]
    async with clinic(store_settings, NOBODY) as desk:

        async def is_open(changes: dict[str, Any]) -> bool:
            await sent(desk, **({"patient_id": new_id(), "address_hash": THEIRS} | changes))
            look_ = await seen(desk)
            assert not look_.of(KAISER.public_code).breaker_open
            return look_.of(CEDARS.public_code).breaker_open

        assert [await is_open(each) for each in ({}, *does_not)] == [False] * 4
        for changes in counts:
            await force(desk, delete(mails))
            assert [await is_open(each) for each in ({}, changes)] == [False, True]


async def test_an_address_is_suppressed_where_it_refused_mail_and_nowhere_else(store_settings: StoreSettings) -> None:
    async with clinic(store_settings, NOBODY) as desk:
        for tenant, address in (("kaiser", MINE), ("cedars", THEIRS)):
            row = {"tenant": tenant, "address_hash": address, "code": "5.1.1", "since": FIRST}
            await force(desk, insert(suppressions).values(row))
        assert not (await seen(desk)).moment.suppressed
        here = update(suppressions).where(suppressions.c.tenant == "kaiser").values(tenant="cedars")
        await force(desk, here)
        assert (await seen(desk)).moment.suppressed
        assert not (await seen(desk, Truth("cedars", ME))).moment.suppressed


async def test_no_other_consumer_makes_this_ones_truth_fresh(store_settings: StoreSettings) -> None:
    async with clinic(store_settings, NOBODY) as desk:
        assert not (await seen(desk)).moment.stale_truth
        mine = consumer.positions.c.consumer_group == "notifier.intake"
        await force(desk, update(consumer.positions).where(mine).values(consumer_group="another"))
        assert (await seen(desk)).moment.stale_truth


async def test_trials_are_known_only_while_what_is_asked_about_them_is(store_settings: StoreSettings) -> None:
    trials = {"trial": known_trial()}
    async with clinic(store_settings, NOBODY) as desk:

        async def seen_of() -> object:
            async with desk.notifier.store.read() as connection:
                [found] = (await look(connection, {("cedars", ME): TRUTH}, [], lambda _: trials, FIRST)).values()
                return found.moment.trials

        assert await seen_of() == trials
        mine = consumer.positions.c.consumer_group == "notifier.requests"
        late = {"caught_up_at": database_now(-61)}
        await force(desk, update(consumer.positions).where(mine).values(late))
        assert await seen_of() is None
        await force(desk, delete(consumer.positions).where(mine))
        assert await seen_of() is None
