"""Links in mails to this service's own pages, and what they are about. They name nobody."""

import uuid
from dataclasses import dataclass

from chassis import links
from chassis.sealing import Keyring

STOP_TRIALS = "stop-trials"


@dataclass(frozen=True, slots=True)
class Link:
    """Whom a link is about, and from which program it came."""

    tenant: str
    patient_id: str
    program: str


@dataclass(frozen=True, slots=True)
class Links:
    """``url`` is where patients reach this service, without a slash at its end."""

    url: str
    ring: Keyring

    def unsubscribe(self, link: Link) -> str:
        """The URL of the page that ends mail about research."""
        named = f"{link.tenant}/{link.program}".encode()
        token = links.token(self.ring, STOP_TRIALS, uuid.UUID(link.patient_id).bytes + named)
        return f"{self.url}/v1/unsubscribe/{token}"

    def unsubscribing(self, token: str) -> Link | None:
        """What such a page's token is about; None when it is none."""
        subject = links.subject(self.ring, STOP_TRIALS, token)
        if subject is None:
            return None
        tenant, _, program = subject[16:].decode().partition("/")
        return Link(tenant, str(uuid.UUID(bytes=subject[:16])), program)
