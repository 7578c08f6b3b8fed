"""A subscription: what its coordinator wants to hear, through which channel, and the secrets that go with it."""

import secrets
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum

from schemas.base import Contract
from schemas.ids import ProgramCode
from schemas.text import Line
from schemas.trials import MatchVerdict, RegistryId
from services.trials.domain import Offers

KEY_BYTES = 32


class Channel(StrEnum):
    """How reports reach the coordinator."""

    KAFKA = "kafka"
    WEBHOOK = "webhook"
    SSE = "sse"
    DIGEST = "digest"


class State(StrEnum):
    """``disabled``: its webhook never answered, or said that it is gone; nothing is told any more."""

    ACTIVE = "active"
    DISABLED = "disabled"


class Filter(Contract):
    """Which matches: none named means all. ``programs`` None: all of the tenant. ``sites``: cities or states, any case.

    ``least``: the verdict below which a match isn't shown.
    """

    registry_ids: tuple[RegistryId, ...] = ()
    programs: tuple[ProgramCode, ...] | None = None
    sites: tuple[Line, ...] = ()
    least: MatchVerdict = MatchVerdict.POSSIBLE


class Secrets(Contract):
    """Sealed at rest. ``pseudonym_key`` in hex; ``secret`` is base64 with the prefix ``whsec_``; ``to``: an address."""

    pseudonym_key: str
    url: str | None = None
    secret: str | None = None
    to: str | None = None

    def __repr__(self) -> str:
        return "Secrets(<protected>)"

    __str__ = __repr__


@dataclass(frozen=True, slots=True)
class Subscription:
    """One of a coordinator's. ``sequence``: the last report of its log; ``delivered``: the last its channel carried."""

    subscription_id: str
    tenant: str
    owner: str
    name: str
    channel: Channel
    filter: Filter
    created_at: datetime
    secrets: Secrets = field(repr=False)
    state: State = State.ACTIVE
    sequence: int = 0
    delivered: int = 0
    attempts: int = 0
    digest_day: date | None = None

    def hears_of(self, tenant: str, program: str) -> bool:
        """Whether matches of this program are any of its business."""
        return self.tenant == tenant and (self.filter.programs is None or program in self.filter.programs)

    def program(self, offers: Offers) -> str | None:
        """The program in whose zone its days begin: the first it is for; None when there is none any more."""
        return min((code for code, each in offers.items() if self.hears_of(each.program.tenant, code)), default=None)


def new_key() -> str:
    """A pseudonym key that no other subscription has."""
    return secrets.token_hex(KEY_BYTES)
