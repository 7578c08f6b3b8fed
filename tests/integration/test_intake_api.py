"""Intake over HTTP, on both stores: what is posted is decided, stored and put into the outbox in one transaction."""

from collections.abc import AsyncIterator

import pytest

from chassis.migrations import drift, pending
from chassis.settings import StoreSettings
from tests.support.intake import Desk, new_id, open_desk
from tests.support.stores import store_settings as store_settings


@pytest.fixture
async def desk(store_settings: StoreSettings) -> AsyncIterator[Desk]:
    async with open_desk(store_settings) as opened:
        yield opened


async def test_a_booked_visit_is_accepted_with_the_version_that_intake_allots(desk: Desk) -> None:
    patient_id, visit_id = await desk.enrolled(), new_id()
    answer = await desk.post(desk.visit(patient_id, visit_id))
    assert answer.status_code == 202, answer.text
    shown = await desk.get(answer.headers["location"])
    assert shown.json()["subject"] == f"appointment/{visit_id}"
    assert (shown.json()["version"], shown.json()["state"]) == (1, "waiting")


async def test_the_migrated_tables_are_those_of_the_code(desk: Desk) -> None:
    assert await pending(desk.intake.store, "services.intake") == []
    assert await drift(desk.intake.store, "services.intake") == []
