"""Plays the acts and holds the mails against them; exit status 1 when they differ."""

import asyncio
import os
import secrets
import sys
import time
import uuid

import httpx2

from chassis.clock import SystemClock
from standalone.demo.posts import Posts
from standalone.onstage.acts import Act, acts
from standalone.onstage.installation import Installation, NotPlayedError
from standalone.terminal import say
from standalone.waiting import until

MAILS_WITHIN = 120.0
"""Seconds for everything an act sets off, the restart of a killed service and its partitions' return included."""
NO_MORE_WITHIN = 3.0


async def play(installation: Installation, run: str) -> None:
    """Raises ``NotPlayedError``."""
    story = acts(run, SystemClock().now())
    for act in story:
        began = time.monotonic()
        await installation.post(act.happenings)
        if not await until(lambda act=act: _has_come(installation, run, act), MAILS_WITHIN):  # type: ignore[misc]  # bound now
            raise NotPlayedError(f"wanted {dict(act.mails)}, came {dict(await installation.mails(run))}: {act.title}")
        say(f"✓ {act.title} ({sum(act.mails.values())} mails so far, {time.monotonic() - began:.1f} s)")
    last = story[-1]
    if await until(lambda: _is_too_much(installation, run, last), NO_MORE_WITHIN):
        raise NotPlayedError(f"more mails than {dict(last.mails)}: {dict(await installation.mails(run))}")
    say(f"{sum(last.mails.values())} mails, each once; none to who wants none, none to a child.")


async def _has_come(installation: Installation, run: str, act: Act) -> bool:
    mails = await installation.mails(run)
    return all(mails[person] >= count for person, count in act.mails.items())


async def _is_too_much(installation: Installation, run: str, act: Act) -> bool:
    mails = await installation.mails(run)
    return any(mails[person] > count for person, count in act.mails.items())


async def main() -> int:
    """0 when every mail came, each once."""
    async with httpx2.AsyncClient(timeout=10.0) as http:
        installation = Installation(http, os.environ["INTAKE_URL"], os.environ["MAILPIT_URL"], Posts(uuid.uuid4()))
        try:
            await play(installation, secrets.token_hex(4))
        except NotPlayedError as error:
            say(f"✗ {error}")
            return 1
    return 0


sys.exit(asyncio.run(main()))
