"""What every request and every handler of intake needs, wired once in ``app.py``."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from chassis.clock import CivilClock
from chassis.scope import Scope
from chassis.sealing import Keyring
from chassis.store import Store
from schemas.programs import Program
from services.intake.domain import Context


@dataclass(frozen=True, slots=True)
class Rings:
    """``master`` wraps patients' own keys; ``contact`` seals for the notifier, ``facts`` for trials."""

    master: Keyring
    contact: Keyring
    facts: Keyring


@dataclass(frozen=True, slots=True)
class Resources:
    """``programs`` by public code; ``host`` stands in ``ce_source``; ``nudge`` wakes the relay after a commit."""

    store: Store
    rings: Rings
    programs: Mapping[str, Program]
    clock: CivilClock
    host: str
    max_batch: int
    nudge: Callable[[], None]

    def context(self, scope: Scope) -> Context:
        """The circumstances now; in milliseconds, as the store keeps them, so that a repeated answer is equal."""
        now = self.clock.now()
        return Context(scope, self.programs, now.replace(microsecond=now.microsecond // 1000 * 1000))
