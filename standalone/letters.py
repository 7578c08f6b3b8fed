"""Which service owns the dead letters of which consumer group, and what it handles them with."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Protocol, TypeVar

from sqlalchemy import Table

from chassis.batch import Apply, ConsumerTables
from chassis.redrive import Released
from chassis.store import Store
from services.intake import handlers as intake_handlers
from services.intake.tables import consumer as intake_tables
from services.notifier import handlers as notifier_handlers
from services.notifier.app import Notifier
from services.notifier.digests import handlers as digest_handlers
from services.notifier.store.moments import GROUP as NOTIFIER_GROUP
from services.notifier.store.moments import REQUESTS as NOTIFIER_REQUESTS_GROUP
from services.notifier.tables import consumer as notifier_tables
from services.trials import handlers as trials_handlers
from services.trials import outcome_handlers
from services.trials.app import Trials
from services.trials.subscriptions import following
from services.trials.tables import consumer as trials_tables
from standalone.commands.environment import intake, notifier, trials
from standalone.commands.errors import WRONG, Failure


@dataclass(frozen=True, slots=True)
class Desk:
    """Where a group's letters lie, and the handlers that they are for."""

    store: Store
    table: Table
    acts: Table
    uses: frozenset[str]
    apply: Apply
    released: Released


@dataclass(frozen=True, slots=True)
class Owner:
    """``prefix`` is that of its settings in the environment."""

    prefix: str
    desk: Callable[[], AbstractAsyncContextManager[Desk]]


class _Service(Protocol):
    @property
    def store(self) -> Store: ...


class _Handlers(Protocol):
    @property
    def apply(self) -> Apply: ...
    @property
    def released(self) -> Released: ...


S = TypeVar("S", bound=_Service)


def _owner(
    prefix: str, service: Callable[[], AbstractAsyncContextManager[S]], tables: ConsumerTables, uses: frozenset[str],
    handlers: Callable[[S], _Handlers],
) -> Owner:  # fmt: skip
    @asynccontextmanager
    async def desk() -> AsyncIterator[Desk]:
        async with service() as one:
            own = handlers(one)
            yield Desk(one.store, tables.dead_letters, tables.letter_acts, uses, own.apply, own.released)

    return Owner(prefix, desk)


def _intake(uses: frozenset[str]) -> Owner:
    return _owner("INTAKE_", intake, intake_tables, uses, lambda service: service.handlers)


def _notifier(uses: frozenset[str], handlers: Callable[[Notifier], _Handlers]) -> Owner:
    return _owner("NOTIFIER_", notifier, notifier_tables, uses, handlers)


def _trials(uses: frozenset[str], handlers: Callable[[Trials], _Handlers]) -> Owner:
    return _owner("TRIALS_", trials, trials_tables, uses, handlers)


GROUPS: Mapping[str, Owner] = {
    intake_handlers.GROUP: _intake(intake_handlers.USES),
    intake_handlers.TRIALS_GROUP: _intake(intake_handlers.TRIALS_USES),
    NOTIFIER_GROUP: _notifier(notifier_handlers.USES, lambda service: service.handlers),
    NOTIFIER_REQUESTS_GROUP: _notifier(notifier_handlers.REQUESTS, lambda service: service.handlers),
    digest_handlers.GROUP: _notifier(digest_handlers.USES, lambda service: service.digest_handlers),
    trials_handlers.GROUP: _trials(trials_handlers.USES, lambda service: service.handlers),
    following.GROUP: _trials(following.USES, lambda service: service.subscribed.handlers),
    outcome_handlers.GROUP: _trials(outcome_handlers.USES, lambda service: service.outcomes),
}
"""Every consumer group, its service and the way to its letters."""


def owner_of(group: str) -> Owner:
    """Raises ``Failure`` for a group that isn't one."""
    if group not in GROUPS:
        raise Failure(f"There is no consumer group {group}. There are: {', '.join(GROUPS)}", WRONG)
    return GROUPS[group]
