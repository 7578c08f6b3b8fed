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
from services.notifier.digests import handlers as digest_handlers
from services.notifier.store.moments import GROUP as NOTIFIER_GROUP
from services.notifier.store.moments import REQUESTS as NOTIFIER_REQUESTS_GROUP
from services.notifier.tables import consumer as notifier_tables
from services.trials import handlers as trials_handlers
from services.trials import outcome_handlers
from services.trials.subscriptions import following
from services.trials.tables import consumer as trials_tables
from standalone.commands.environment import intake, notifier, trials
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
async def _of_trials_outcomes() -> AsyncIterator[Desk]:
    async with _of_intake() as desk:
        yield replace(desk, uses=intake_handlers.TRIALS_USES)


@asynccontextmanager
async def _of_notifier() -> AsyncIterator[Desk]:
    async with notifier() as service:
        own = service.handlers
        yield Desk(service.store, notifier_tables.dead_letters, notifier_handlers.USES, own.apply, own.released)


@asynccontextmanager
async def _of_requests() -> AsyncIterator[Desk]:
    async with _of_notifier() as desk:
        yield replace(desk, uses=notifier_handlers.REQUESTS)


@asynccontextmanager
async def _of_digests() -> AsyncIterator[Desk]:
    async with notifier() as service:
        own = service.digest_handlers
        yield Desk(service.store, notifier_tables.dead_letters, digest_handlers.USES, own.apply, own.released)


@asynccontextmanager
async def _of_trials() -> AsyncIterator[Desk]:
    async with trials() as service:
        own = service.handlers
        yield Desk(service.store, trials_tables.dead_letters, trials_handlers.USES, own.apply, own.released)


@asynccontextmanager
async def _of_matches() -> AsyncIterator[Desk]:
    async with trials() as service:
        own = service.subscribed.handlers
        yield Desk(service.store, trials_tables.dead_letters, following.USES, own.apply, own.released)


@asynccontextmanager
async def _of_invitations() -> AsyncIterator[Desk]:
    async with trials() as service:
        own = service.outcomes
        yield Desk(service.store, trials_tables.dead_letters, outcome_handlers.USES, own.apply, own.released)


@dataclass(frozen=True, slots=True)
class Owner:
    """``prefix`` is that of its settings in the environment."""

    prefix: str
    desk: Callable[[], AbstractAsyncContextManager[Desk]]


GROUPS: Mapping[str, Owner] = {
    intake_handlers.GROUP: Owner("INTAKE_", _of_intake),
    intake_handlers.TRIALS_GROUP: Owner("INTAKE_", _of_trials_outcomes),
    NOTIFIER_GROUP: Owner("NOTIFIER_", _of_notifier),
    NOTIFIER_REQUESTS_GROUP: Owner("NOTIFIER_", _of_requests),
    digest_handlers.GROUP: Owner("NOTIFIER_", _of_digests),
    trials_handlers.GROUP: Owner("TRIALS_", _of_trials),
    following.GROUP: Owner("TRIALS_", _of_matches),
    outcome_handlers.GROUP: Owner("TRIALS_", _of_invitations),
}
"""Every consumer group, its service and the way to its letters."""


def owner_of(group: str) -> Owner:
    """Raises ``Failure`` for a group that isn't one."""
    if group not in GROUPS:
        raise Failure(f"There is no consumer group {group}. There are: {', '.join(GROUPS)}", WRONG)
    return GROUPS[group]
