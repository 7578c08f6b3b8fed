"""Trials answer on /readyz only once the catalogue and the patients are in memory."""

import asyncio

from chassis.settings import StoreSettings
from tests.support.coordinating import CVF, FISTULA, coordinators
from tests.support.eventually import eventually
from tests.support.research import beside, research
from tests.support.stores import store_settings as store_settings


async def test_trials_are_ready_when_catalogue_and_patients_are_loaded(store_settings: StoreSettings) -> None:
    async with research(store_settings) as before:
        await before.publish(CVF)
        await before.admit(**FISTULA)
    async with beside(store_settings) as desk, coordinators(desk) as room:
        (loading,) = [each for each in desk.trials.parts if each.name == "loading"]
        answer = await room.http.get("/readyz")
        assert (answer.status_code, answer.json()["type"]) == (503, "urn:upright:problem:not_ready")
        assert "aren't loaded" in answer.json()["detail"]
        stopping = asyncio.Event()
        running = asyncio.create_task(loading.run(stopping))

        async def ready() -> bool:
            return (await room.http.get("/readyz")).status_code == 200

        await eventually(ready, within=10)
        assert loading.status() == {"done": True, "trials": 1, "patients": 1}
        assert not running.done()
        stopping.set()
        await running
