"""A notifier in a process of its own, to be killed: ``python -m tests.support.doomed`` with settings as JSON.

It sends what is due at the given civil time. With ``halt`` it says "claimed" between claim and guard, and goes no
further.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime

from chassis.clock import SimulatedClock
from chassis.settings import StoreSettings
from services.notifier.app import build
from services.notifier.sender import nothing
from services.notifier.store.claims import Claim
from tests.support.clinic import Clinic, clinic_settings
from tests.support.programs import PROGRAMS


@asynccontextmanager
async def doomed(desk: Clinic, store: StoreSettings, smtp_port: int, *, halt: bool = False) -> AsyncIterator[str]:
    """Runs until the block ends, then is killed (SIGKILL). Gives the first line it says, if it is to ``halt``."""
    about = {
        "url": store.url, "schema": store.schema_name, "port": smtp_port, "now": desk.clock.now().isoformat(),
        "halt": halt,
    }  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", __name__, json.dumps(about), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        yield (await asyncio.wait_for(process.stdout.readline(), 30)).decode().strip() if halt else ""
    finally:
        process.kill()
        await process.communicate()


async def _stand_still(claim: Claim) -> None:
    print("claimed", flush=True)  # what the parent waits for
    await asyncio.Event().wait()


async def _run(url: str, schema: str | None, port: int, now: str, halt: bool) -> None:
    settings = clinic_settings(StoreSettings(url=url, schema=schema), port)
    clock = SimulatedClock(datetime.fromisoformat(now))
    notifier = build(settings, clock, PROGRAMS, before_guard=_stand_still if halt else nothing)
    stopping = asyncio.Event()
    await asyncio.gather(notifier.sender.run(stopping), notifier.digest_sender.run(stopping))


if __name__ == "__main__":
    asyncio.run(_run(**json.loads(sys.argv[1])))
