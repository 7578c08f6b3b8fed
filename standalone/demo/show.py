"""The story on stage: one driver at a time, told step by step or at once, started again in a fresh folder."""

import asyncio
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from standalone.demo.desks import StuckError
from standalone.demo.driver import Driver, Posted, Watch
from standalone.demo.ledger import Change, changes
from standalone.demo.matches import Matched
from standalone.web import MailboxPages

PATIENCE = 3600.0
"""Seconds a step may wait for people who stopped SMTP to start it again."""
PLAY_SECONDS = 0.3
"""Between two steps that are watched, so that eyes can follow."""

Tell = Callable[[list[Change]], None]


class Show:
    """``open`` it, then ``play_now``, or ``next``, ``play`` and ``again`` from the page; ``close`` it.

    ``version`` changes whenever the page would look different; ``renewed`` is called when another system has started.
    """

    def __init__(self, folder: Path, *, tell: Tell, watch: Watch) -> None:
        self.folder = folder
        self._changes = 0
        self.trouble = ""
        self._tell, self._watch = tell, watch
        self._runs = 0
        self._told = 0
        self._work: asyncio.Task[None] | None = None
        self.driver = self._new_driver()
        self.mailbox_pages = MailboxPages(self.driver.system.mailbox)
        self.renewed: Callable[[], None] = lambda: None

    @property
    def version(self) -> str:
        return f"{self._changes}/{self.driver.clock.now():%m%d%H%M}"

    @property
    def busy(self) -> bool:
        """Whether a step, or the whole story, is under way."""
        return self._work is not None and not self._work.done()

    async def open(self) -> None:
        await self.driver.start()

    async def close(self) -> None:
        await self._drop_work()
        await self.driver.stop()

    async def play_now(self) -> float:
        """The whole story; real seconds it took. Raises ``StuckError``."""
        began = time.monotonic()
        while not self.driver.over:
            await self._step(self.driver, within=60.0)
        return time.monotonic() - began

    # from the page

    def next(self) -> None:
        """One step, in the background."""
        self._begin(1, 0.0)

    def play(self) -> None:
        """All steps that are left, in the background."""
        self._begin(10_000, PLAY_SECONDS)

    async def again(self) -> None:
        """From the start, in a fresh store; the old one is deleted."""
        await self._drop_work()
        old = self.driver
        await old.stop()
        shutil.rmtree(old.system.folder, ignore_errors=True)
        self.driver, self._told, self.trouble = self._new_driver(), 0, ""
        self.mailbox_pages.show(self.driver.system.mailbox)
        await self.driver.start()
        self.renewed()
        self._changes += 1

    async def turn_smtp(self) -> None:
        """Stop the mailbox's SMTP, or start it again."""
        mailbox = self.driver.system.mailbox
        await (mailbox.stop() if mailbox.running else mailbox.start())
        self._changes += 1

    def turn_twice(self) -> None:
        """Send every event twice from now on, or no longer."""
        self.driver.twice = not self.driver.twice
        self._changes += 1

    def _new_driver(self) -> Driver:
        self._runs += 1
        return Driver(self.folder / f"run-{self._runs}", watch=self._on_seen)

    def _on_seen(self, seen: Posted | Matched) -> None:
        self._changes += 1
        self._watch(seen)

    def _begin(self, steps: int, pause: float) -> None:
        if not self.busy and not self.driver.over:
            self.trouble = ""
            self._work = asyncio.create_task(self._steps(self.driver, steps, pause))
            self._changes += 1

    async def _steps(self, driver: Driver, steps: int, pause: float) -> None:
        try:
            for _ in range(steps):
                await self._step(driver, PATIENCE)
                if driver.over:
                    break
                await asyncio.sleep(pause)
        except StuckError as stuck:
            self.trouble = str(stuck)
        finally:
            self._changes += 1

    async def _step(self, driver: Driver, within: float) -> None:
        await driver.step(within)
        news = await changes(driver.system, driver.posts, self._told)
        self._told = max([self._told, *(each.id for each in news)])
        self._tell(news)
        self._changes += 1

    async def _drop_work(self) -> None:
        if self._work is not None:
            self._work.cancel()
            with suppress(asyncio.CancelledError):
                await self._work
