"""Envelope and data to a Kafka record and back: CloudEvents 1.0, encoded and decoded by the SDK's Kafka binding.

Written in binary mode, read in binary and structured mode. Whatever is wrong with a record ends in ``Permanent`` with
one of the reasons below, never with a value of the record. Headers that belong to no envelope are not looked at.

=====================  ==================================================================================
``bad_key``            the record key isn't UTF-8
``bad_header``         a header of the envelope is null, isn't UTF-8, or stands there twice
``bad_content_type``   the data isn't JSON, or a batch stands where one event belongs
``bad_envelope``       no CloudEvents 1.0, or an attribute is missing or not what ``schemas.envelope`` allows
``key_mismatch``       the partition key isn't the record key
``no_data``            an envelope without data
``too_large``          more than 64 KiB of data
=====================  ==================================================================================
"""

import json
import re
from collections.abc import Iterable
from typing import Any

from cloudevents.core.base import BaseCloudEvent
from cloudevents.core.bindings.kafka import KafkaMessage, from_binary, from_structured, to_binary
from cloudevents.core.exceptions import MissingRequiredAttributeError
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from pydantic import ValidationError

from chassis.errors import Permanent
from chassis.outbox import Message
from schemas.base import Contract
from schemas.envelope import Envelope

MAX_DATA_BYTES = 64 * 1024
TRACEPARENT = "traceparent"
TRACE = re.compile(rb"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")  # W3C Trace Context, section 3.2.2
_JSON = re.compile(r"(application|text)/([\w.-]+\+)?json")


class RawJson(JSONFormat):
    """The SDK's JSON format, but data in binary mode stays the bytes it is: the contract's model parses it, once."""

    def read_data(self, body: bytes, datacontenttype: str | None) -> bytes:
        return body


RAW_JSON = RawJson()


def checked_event(attributes: dict[str, Any], data: Any) -> BaseCloudEvent:
    """The SDK's event, but never with an id, a time or a version of the SDK's own invention.

    Raises ``MissingRequiredAttributeError`` or ``CloudEventValidationError``.
    """
    present = {
        name: value for name, value in attributes.items() if value is not None
    }  # JSON format 2.2: null is absent
    for name in ("specversion", "id", "time"):
        if name not in present:
            raise MissingRequiredAttributeError(name)
    return CloudEvent(present, data)


def to_message(topic: str, envelope: Envelope, data: Contract) -> Message:
    """The record for ``data``; its key is the partition key, its trace the current span's, else the envelope's.

    Raises ``Permanent("too_large")`` for more than 64 KiB of data.
    """
    value = data.model_dump_json().encode()
    if len(value) > MAX_DATA_BYTES:
        raise Permanent("too_large")
    encoded = to_binary(checked_event(_attributes(envelope), value), RAW_JSON)
    key = envelope.partitionkey.encode() if envelope.partitionkey is not None else None
    return Message(topic, key, (*encoded.headers.items(), *_trace_header(envelope)), value)


def _attributes(envelope: Envelope) -> dict[str, Any]:
    attributes = envelope.model_dump(exclude_none=True, exclude={TRACEPARENT})
    attributes["origin"] = envelope.origin.value
    if envelope.sequence is not None:
        attributes["sequence"] = f"{envelope.sequence:020d}"
    return attributes


def _trace_header(envelope: Envelope) -> Iterable[tuple[str, bytes]]:
    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    trace = carrier.get(TRACEPARENT, envelope.traceparent)
    return [(TRACEPARENT, trace.encode())] if trace else []


def read_record(
    headers: Iterable[tuple[str, bytes | None]], key: bytes | None, value: bytes | None
) -> tuple[Envelope, bytes]:
    """The envelope, with the trace of its header, and the data as JSON bytes; ``Permanent`` as listed above.

    Consumers are tolerant: an attribute that isn't known is ignored. Whether the data fits the type isn't checked here.
    """
    own = _envelope_headers(headers)
    trace = own.pop(TRACEPARENT, b"").decode()
    structured = is_structured(own.get("content-type", b"application/json").decode())
    if not value:
        raise Permanent("no_data")
    try:
        event = _decode(own, value, structured)
        data = json_data(event)
    except Exception:  # the SDK and its parsers raise anything; their texts hold values, so none is kept
        raise Permanent("bad_envelope") from None
    if not data:
        raise Permanent("no_data")
    if len(data) > MAX_DATA_BYTES:
        raise Permanent("too_large")
    return _envelope(event.get_attributes(), key, trace), data


def _envelope_headers(headers: Iterable[tuple[str, bytes | None]]) -> dict[str, bytes]:
    """Names in lower case. A trace that can't be read is no reason to lose an event: it is dropped."""
    own: dict[str, bytes] = {}
    for name, raw in headers:
        lower = name.lower()
        if lower == TRACEPARENT:
            own[lower] = raw if raw and TRACE.fullmatch(raw) else b""
        elif lower.startswith("ce_") or lower == "content-type":
            if raw is None or lower in own:
                raise Permanent("bad_header")
            _text(raw, "bad_header")
            own[lower] = raw
    return own


def _text(raw: bytes, reason: str) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise Permanent(reason) from None


def is_structured(content_type: str) -> bool:
    """Whether the envelope stands in the body; ``Permanent("bad_content_type")`` for a batch or what isn't JSON."""
    media = content_type.partition(";")[0].strip().lower()
    if media in ("application/cloudevents+json", "application/cloudevents"):
        return True
    if media.startswith("application/cloudevents") or not _JSON.fullmatch(media):
        raise Permanent("bad_content_type")
    return False


def _decode(headers: dict[str, bytes], value: bytes, structured: bool) -> BaseCloudEvent:
    # without the key: the binding would overwrite the event's own partition key with it, and hide that they differ
    message = KafkaMessage(headers, None, value)
    decode = from_structured if structured else from_binary
    return decode(message, RAW_JSON, checked_event)


def json_data(event: BaseCloudEvent) -> bytes:
    """The data as JSON bytes; empty when there is none."""
    data = event.get_data()
    if data is None:
        return b""
    return data if isinstance(data, bytes) else json.dumps(data).encode()


def _envelope(attributes: dict[str, Any], key: bytes | None, trace: str) -> Envelope:
    partition_key = None if key is None else _text(key, "bad_key")
    if attributes.setdefault("partitionkey", partition_key) != partition_key:
        raise Permanent("key_mismatch")
    if trace:
        attributes[TRACEPARENT] = trace
    try:
        return Envelope.model_validate(attributes, context={"tolerant": True})
    except ValidationError:
        raise Permanent("bad_envelope") from None
