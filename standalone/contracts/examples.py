"""Golden examples: whole records of every event, written once and kept for ever.

Each event has a full one and one with its required fields alone. Blocks are sealed under keys that everybody knows;
``opened`` says what is in them. Sealing is written down here a second time, so that it can't change unnoticed.
"""

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from chassis.cloudevents import to_message
from schemas.base import Contract
from schemas.blocks import Block, blocks_of
from schemas.envelope import Envelope
from schemas.registry import EVENT_TYPES, INTAKE_EVENTS, EventType
from schemas.sealed import Sealed
from standalone.contracts.people import CHANGED, CREATED, DATA, KEY_FIELD, OWN, PROGRAM, SEALED, SUBJECT_ID

KEY_ID = "example"
KEY = bytes(range(32))
"""Published, so good for nothing but examples."""

TENANT = "cedars"
Record = dict[str, Any]


def examples() -> Iterator[tuple[EventType, Record]]:
    """The examples of today's models, in a fixed order; the same ones at every call."""
    for event in EVENT_TYPES.values():
        full = _full(event)
        yield event, _record(event, full)
        required = {name: full[name] for name, field in event.data.model_fields.items() if field.is_required()}
        if required != full:
            yield event, _record(event, required)


def _full(event: EventType) -> dict[str, Any]:
    sealed = {field: _seal(block, _subject(event)) for field, block in blocks_of(event.data).items()}
    fields = {**DATA[event.data], **sealed, **OWN.get(event.name, {})}
    return {name: value for name, value in fields.items() if value is not None}


def _record(event: EventType, fields: Mapping[str, Any]) -> Record:
    data = event.data.strict_json(json.dumps(fields))
    message = to_message(event.topic, _envelope(event, data), data)
    return {
        "topic": message.topic,
        "key": message.key.decode() if message.key else None,
        "headers": {name: (value or b"").decode() for name, value in sorted(message.headers)},
        "data": json.loads(message.value or b""),
        "opened": {name: SEALED[each.model] for name, each in blocks_of(event.data).items() if name in fields},
    }


def _subject(event: EventType) -> str:
    return f"{event.subject}/{SUBJECT_ID[event.subject]}"


def _envelope(event: EventType, data: Contract) -> Envelope:
    """Of a heartbeat, only what it has: no subject, no patient, no tenant."""
    bare = Envelope(
        id=f"example-{event.name}",
        source=f"https://upright.example/{event.topic.partition('.')[0]}",
        type=event.wire,
        time=datetime.fromisoformat(CREATED),
        dataschema=event.dataschema,
        recordedtime=datetime.fromisoformat(CHANGED),
        dataclassification="confidential",
        traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    )
    if event.name == "heartbeat":
        return bare
    own = {
        "source": f"https://upright.example/programs/{PROGRAM}/console",
        "subject": _subject(event),
        "partitionkey": getattr(data, KEY_FIELD.get(event.subject, "patient_id"), None),
        "correlationid": f"example-{event.name}",
        "sequence": getattr(data, "version", getattr(data, "sequence", None)),
        "dataregulation": "HIPAA",
        "tenant": TENANT,
    }
    return bare.model_copy(update=own if event.topic == INTAKE_EVENTS else own | {"source": bare.source})


def _seal(block: Block, subject: str) -> dict[str, Any]:
    """A vector of its own for each block, made from what it seals: the same bytes at every run."""
    plain = block.model.strict_json(json.dumps(SEALED[block.model])).model_dump_json().encode()
    iv = hashlib.sha256(subject.encode() + plain).digest()[:12]
    ciphertext = AESGCM(KEY).encrypt(iv, plain, associated(block.model, subject))
    return Sealed(kid=KEY_ID, iv=_text(iv), ciphertext=_text(ciphertext)).model_dump()


def associated(model: type[Contract], subject: str) -> bytes:
    """What a block is bound to; see ``chassis.sealing``."""
    return json.dumps([TENANT, subject, model.__name__], separators=(",", ":")).encode()


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
