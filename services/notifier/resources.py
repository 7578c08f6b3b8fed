"""What every request needs, wired once in ``app.py``."""

from dataclasses import dataclass

from chassis.clock import CivilClock
from chassis.sealing import Keyring
from chassis.store import Store
from services.notifier.programs import AppliedPrograms


@dataclass(frozen=True, slots=True)
class Resources:
    """``master`` wraps patients' own keys; ``address_key`` keys the hash of addresses."""

    store: Store
    programs: AppliedPrograms
    clock: CivilClock
    master: Keyring
    address_key: bytes
