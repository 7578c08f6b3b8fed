"""A Kafka record in, an event out: everything about a record that can be wrong without asking the store.

What is wrong with a record is raised as ``Permanent``, with a reason of ``chassis.cloudevents`` or one of these. No
error carries a byte of the record.

=================  ============================================================================================
``unknown_major``  a family of ours in a major version that isn't ours
``no_tenant``      nobody's: what it says would be kept for no tenant, and told to none
``bad_subject``    not the family of its type, a slash and a printable id: it would be kept as something else
``bad_key``        no key, or one that isn't 1 to 255 printable characters
``bad_payload``    the data isn't what its type's contract says
=================  ============================================================================================
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from pydantic import ValidationError

from chassis.cloudevents import read_record
from chassis.errors import Permanent
from chassis.outbox import Headers
from schemas.base import Contract
from schemas.envelope import Envelope
from schemas.registry import BY_WIRE, EventType, family_of

D = TypeVar("D", bound=Contract)

HEARTBEAT = "heartbeat"


@dataclass(frozen=True, slots=True)
class Record:
    """A record as it lay on the topic; ``timestamp_ms`` is the broker's or the producer's, in ms since 1970."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None = field(repr=False)
    headers: Headers = field(repr=False)
    value: bytes | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Event(Generic[D]):
    """A valid event and where it was read. ``key`` is the record key, which is the envelope's partition key."""

    type: EventType
    envelope: Envelope
    data: D
    key: str | None
    topic: str
    partition: int
    offset: int


def decode(record: Record, uses: Collection[str]) -> Event[Any] | None:
    """The event; None when its family isn't in ``uses`` (heartbeats always are). Raises ``Permanent``.

    A known family with another major version is never ignored: somebody forgot to teach this service first.
    """
    envelope, data = read_record(record.headers, record.key, record.value)
    family = family_of(envelope.type)
    if family is None or (family not in uses and family != HEARTBEAT):
        return None
    if (known := BY_WIRE.get(envelope.type)) is None:
        raise Permanent("unknown_major")
    key = readable(record.key)
    if family != HEARTBEAT:
        if envelope.tenant is None:
            raise Permanent("no_tenant")
        if not _is_subject(envelope.subject or "", known.subject):
            raise Permanent("bad_subject")
        if key is None:
            raise Permanent("bad_key")
    return Event(known, envelope, _payload(known, data), key, record.topic, record.partition, record.offset)


def _is_subject(text: str, family: str) -> bool:
    found, _, subject_id = text.partition("/")
    return found == family and subject_id != "" and text.isprintable()


def _payload(known: EventType, data: bytes) -> Contract:
    try:
        return known.data.tolerant_json(data)
    except ValidationError:
        raise Permanent("bad_payload") from None


def readable(key: bytes | None) -> str | None:
    """A key as text; None when it isn't printable UTF-8 of 1 to 255 characters."""
    try:
        text = (key or b"").decode()
    except UnicodeDecodeError:
        return None
    return text if text.isprintable() and 0 < len(text) <= 255 else None
