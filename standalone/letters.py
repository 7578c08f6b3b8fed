"""Which service owns the dead letters of which consumer group, and what it handles them with."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace

from sqlalchemy import Table

from chassis.batch import Apply
from chassis.redrive import Released
from chassis.store import Store
from services.intake import handlers as intake_handlers
from services.intake.tables import consumer as intake_tables
from services.notifier import handlers as notifier_handlers
from services.notifier.store.moments import GROUP as NOTIFIER_GROUP
from services.notifier.store.moments import REQUESTS as NOTIFIER_REQUESTS_GROUP
from services.notifier.tables import consumer as notifier_tables
from standalone.commands.environment import intake, notifier
from standalone.commands.errors import WRONG, Failure


@dataclass(frozen=True, slots=True)
class Desk:
    """Where a group's letters lie, and the handlers that they are for."""

    store: Store
    table: Table
    uses: frozenset[str]
    apply: Apply
    released: Released


@asynccontextmanager
async def _of_intake() -> AsyncIterator[Desk]:
    async with intake() as service:
        own = service.handlers
        yield Desk(service.store, intake_tables.dead_letters, intake_handlers.USES, own.apply, own.released)


@asynccontextmanager
async def _of_notifier() -> AsyncIterator[Desk]:
    async with notifier() as service:
        own = service.handlers
        yield Desk(service.store, notifier_tables.dead_letters, notifier_handlers.USES, own.apply, own.released)


@asynccontextmanager
async def _of_requests() -> AsyncIterator[Desk]:
    async with _of_notifier() as desk:
        yield replace(desk, uses=notifier_handlers.REQUESTS)


@dataclass(frozen=True, slots=True)
class Owner:
    """``prefix`` is that of its settings in the environment."""

    prefix: str
    desk: Callable[[], AbstractAsyncContextManager[Desk]]


GROUPS: Mapping[str, Owner] = {
    intake_handlers.GROUP: Owner("INTAKE_", _of_intake),
    NOTIFIER_GROUP: Owner("NOTIFIER_", _of_notifier),
    NOTIFIER_REQUESTS_GROUP: Owner("NOTIFIER_", _of_requests),
}
"""Every consumer group, its service and the way to its letters."""


def owner_of(group: str) -> Owner:
    """Raises ``Failure`` for a group that isn't one."""
    if group not in GROUPS:
        raise Failure(f"There is no consumer group {group}. There are: {', '.join(GROUPS)}", WRONG)
    return GROUPS[group]
