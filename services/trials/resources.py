"""What every request needs, wired once in ``app.py``."""

from collections.abc import Callable
from dataclasses import dataclass

from chassis.clock import CivilClock
from chassis.sealing import Keyring
from chassis.store import Store
from services.trials.catalogue import Catalogue
from services.trials.domain import Offers
from services.trials.people import People
from services.trials.publisher import Publisher


@dataclass(frozen=True, slots=True)
class Resources:
    """``master`` wraps patients' own keys; ``nudge`` wakes whoever works on what a request has stored."""

    store: Store
    offers: Offers
    catalogue: Catalogue
    people: People
    publisher: Publisher
    clock: CivilClock
    master: Keyring
    nudge: Callable[[], None]
