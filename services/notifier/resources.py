"""What every request needs, wired once in ``app.py``."""

from dataclasses import dataclass

from chassis.clock import CivilClock
from chassis.sealing import Keyring
from chassis.store import Store
from services.notifier.catalogue import Catalogue
from services.notifier.links import Links
from services.notifier.programs import AppliedPrograms
from services.notifier.replan import Planner


@dataclass(frozen=True, slots=True)
class Resources:
    """``master`` wraps patients' own keys; ``address_key`` keys the hash of addresses; ``links`` None: no pages."""

    store: Store
    planner: Planner
    clock: CivilClock
    master: Keyring
    address_key: bytes
    catalogue: Catalogue
    links: Links | None

    @property
    def programs(self) -> AppliedPrograms:
        return self.planner.programs
