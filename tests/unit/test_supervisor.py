"""Parts start in order, stop in reverse inside one deadline, and none dies unnoticed."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping

import pytest

from chassis.supervisor import Supervisor

Run = Callable[[asyncio.Event], Awaitable[None]]


class Named:
    """A part that writes into a shared diary when it starts and stops."""

    def __init__(self, name: str, diary: list[str], run: Run | None = None, **says: object) -> None:
        self.name = name
        self._diary = diary
        self._run = run
        self._says = says

    async def run(self, stopping: asyncio.Event) -> None:
        self._diary.append(f"{self.name} starts")
        await (self._run(stopping) if self._run else stopping.wait())
        self._diary.append(f"{self.name} stops")

    def status(self) -> Mapping[str, object]:
        return {"seen": len(self._diary), **self._says}


async def deaf(_: asyncio.Event) -> None:
    await asyncio.Event().wait()


async def very_deaf(_: asyncio.Event) -> None:
    for _attempt in range(2):  # one cancel by the supervisor, one by the loop's end
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            continue


async def dies(_: asyncio.Event) -> None:
    raise LookupError("a bug")


async def returns(_: asyncio.Event) -> None:
    return


async def test_parts_start_in_order_and_stop_in_reverse() -> None:
    diary: list[str] = []
    supervisor = Supervisor([Named(name, diary) for name in ("store", "relay", "consumer")])
    await supervisor.start()
    assert diary == ["store starts", "relay starts", "consumer starts"]
    await supervisor.stop()
    assert diary[3:] == ["consumer stops", "relay stops", "store stops"]
    assert not supervisor.failed.is_set()


async def test_the_first_part_stops_only_after_the_last_has_finished() -> None:
    diary: list[str] = []

    async def finishes_its_work(stopping: asyncio.Event) -> None:
        await stopping.wait()
        for _ in range(10):
            await asyncio.sleep(0)
        diary.append("work finished")

    supervisor = Supervisor([Named("relay", diary), Named("consumer", diary, finishes_its_work)])
    await supervisor.start()
    await supervisor.stop()
    assert diary[-3:] == ["work finished", "consumer stops", "relay stops"]


@pytest.mark.parametrize("run", [dies, returns])
async def test_a_part_that_ends_unasked_fails_the_process(run: Run) -> None:
    supervisor = Supervisor([Named("sound", []), Named("broken", [], run)])
    await supervisor.start()
    async with asyncio.timeout(1):
        await supervisor.wait_failed()
    assert supervisor.status()["broken"]["state"] == "failed"
    assert supervisor.status()["sound"]["state"] == "running"
    await supervisor.stop()


async def test_a_deaf_part_is_cancelled_at_the_deadline_and_the_others_still_stop_in_time() -> None:
    diary: list[str] = []

    async def needs_a_moment(stopping: asyncio.Event) -> None:
        await stopping.wait()
        await asyncio.sleep(0.05)

    parts = [Named("relay", diary, needs_a_moment), Named("deaf", diary, deaf), Named("very deaf", diary, very_deaf)]
    supervisor = Supervisor(parts, deadline=0.3)
    await supervisor.start()
    started = time.monotonic()
    await supervisor.stop()
    assert time.monotonic() - started < 0.3 + 1.0 + 0.5
    assert "relay stops" in diary
    assert supervisor.status()["deaf"]["state"] == "cancelled"
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()


async def test_a_slow_part_may_use_what_the_others_leave_of_the_deadline() -> None:
    diary: list[str] = []

    async def slow(stopping: asyncio.Event) -> None:
        await stopping.wait()
        await relay_stopped.wait()
        await asyncio.sleep(0.05)

    async def quick(stopping: asyncio.Event) -> None:
        await stopping.wait()
        relay_stopped.set()

    relay_stopped = asyncio.Event()
    supervisor = Supervisor([Named("relay", diary, quick), Named("slow", diary, slow)], deadline=1.0)
    await supervisor.start()
    await supervisor.stop()
    assert diary[-2:] == ["relay stops", "slow stops"]


async def test_stopping_twice_is_harmless() -> None:
    supervisor = Supervisor([Named("relay", [])])
    await supervisor.start()
    await supervisor.stop()
    await supervisor.stop()
    assert supervisor.status()["relay"]["state"] == "stopped"


async def test_status_is_the_parts_own_and_its_state() -> None:
    supervisor = Supervisor([Named("relay", ["x"])])
    await supervisor.start()
    assert supervisor.status() == {"relay": {"seen": 2, "state": "running"}}
    await supervisor.stop()


async def test_what_a_running_part_says_of_its_state_is_shown_until_it_ends() -> None:
    supervisor = Supervisor([Named("relay", [], state="unavailable")])
    await supervisor.start()
    assert supervisor.status()["relay"]["state"] == "unavailable"
    await supervisor.stop()
    assert supervisor.status()["relay"]["state"] == "stopped"
