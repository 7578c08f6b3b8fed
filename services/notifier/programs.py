"""The programs that plans are made with: those applied to the store, the same for every instance.

The files a process was started with count only until something was applied: the first start applies them, after that
``apply`` does, when somebody has seen what it changes. Planners and guards ask ``current`` inside their transaction
and after they have locked a patient, so a patient marked stale by ``apply`` is never planned with what came before.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.programs import Program
from services.notifier.store.patients import mark_all_stale
from services.notifier.store.programs import Stamp, add_programs, get_programs, get_stamps

log = structlog.get_logger(__name__)

DEMO = "demo_values"
"""What a program made of demo values lacks where mail goes to real people."""


class DemoValuesRefused(Exception):  # noqa: N818  # an answer to who started or applied it
    """Values made up for the demo must not reach patients."""


def refuse_demo(programs: Iterable[Program]) -> None:
    """``DemoValuesRefused`` when one of them holds demo values."""
    if found := sorted(each.public_code for each in programs if each.demo):
        raise DemoValuesRefused(f"these programs hold values made up for the demo: {', '.join(found)}")


class AppliedPrograms(Mapping[str, Program]):
    """By public code, as last seen in the store. ``demo``: whether demo values may be used (standalone alone)."""

    def __init__(self, files: Mapping[str, Program], *, demo: bool = False) -> None:
        if not demo:
            refuse_demo(files.values())
        self.files, self.demo = dict(files), demo
        self._programs, self._stamps = self.files, dict[str, Stamp]()

    def __getitem__(self, code: str) -> Program:
        return self._programs[code]

    def __iter__(self) -> Iterator[str]:
        return iter(self._programs)

    def __len__(self) -> int:
        return len(self._programs)

    async def current(self, connection: AsyncConnection) -> Mapping[str, Program]:
        """The programs applied as of this transaction: they don't change in the caller's hands."""
        stamps = await get_stamps(connection)
        if stamps != self._stamps:
            programs = await get_programs(connection, stamps)
            self._programs = {code: self._allowed(each) for code, each in programs.items()} if stamps else self.files
            self._stamps = stamps
        return self._programs

    async def apply_first(self, connection: AsyncConnection, now: datetime) -> None:
        """Where nothing was ever applied, apply the files."""
        if not self._stamps and not await get_stamps(connection):
            await add_programs(connection, self.files.values(), now, replace=False)

    def _allowed(self, program: Program) -> Program:
        """Demo values in a store that isn't a demo's: the program loads and sends nothing."""
        if self.demo or not program.demo:
            return program
        log.critical("demo_values_refused", program=program.public_code)
        return program.model_copy(update={"missing": (*program.missing, DEMO)})


async def apply(connection: AsyncConnection, new: Mapping[str, Program], now: datetime, *, demo: bool = False) -> int:
    """Make these the programs to plan with, from civil time ``now``; how many patients are planned again, in waves.

    Programs that aren't among ``new`` stay as they are. ``DemoValuesRefused`` unless ``demo``.
    """
    if not demo:
        refuse_demo(new.values())
    await add_programs(connection, new.values(), now, replace=True)
    return await mark_all_stale(connection, {each.tenant for each in new.values()})
