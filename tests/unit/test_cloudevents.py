"""Envelope and data survive the way over Kafka and HTTP, and whatever is wrong is named without being repeated."""

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

from chassis.cloudevents import MAX_DATA_BYTES, read_record, to_message
from chassis.cloudevents_http import Problem, Refused, read_http
from chassis.errors import Permanent
from chassis.outbox import Message
from schemas.envelope import Envelope, Origin
from schemas.outcomes import Heartbeat, WorklistItem

KEY = "0b0e7c5e-5c0c-4bd9-9d6e-1f2a3b4c5d6e"
AT = datetime(2026, 3, 2, 17, 30, tzinfo=UTC)
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
ENVELOPE = Envelope(
    id="id-1", source="https://a.example/programs/p1/api", type="org.upright.heartbeat.v1", time=AT,
    subject="heartbeat/1", dataschema="https://schemas.upright.example/heartbeat.v1.json", partitionkey=KEY,
    correlationid="c-1", causationid="c-0", sequence=7, expirytime=AT + timedelta(days=1), recordedtime=AT,
    dataclassification="restricted", tenant="csmc", origin=Origin.BACKFILL, traceparent=TRACE,
)  # fmt: skip
DATA = Heartbeat(fresh_as_of=AT)


def message(**changes: object) -> Message:
    return to_message("t.v1", ENVELOPE.model_copy(update=changes), DATA)


def with_headers(**changes: bytes | None) -> list[tuple[str, bytes | None]]:
    return [*(each for each in message().headers if each[0] not in changes), *changes.items()]


def reason(headers: object, key: bytes | None = KEY.encode(), value: bytes | None = b"{}") -> str:
    with pytest.raises(Permanent) as caught:
        read_record(headers, key, value)  # type: ignore[arg-type]  # bad input is the point
    assert caught.value.__cause__ is None
    return caught.value.reason


def structured(**changes: object) -> bytes:
    event = {
        "specversion": "1.0", "id": "id-1", "source": "s", "type": "org.upright.heartbeat.v1",
        "time": "2026-03-02T17:30:00Z", "data": {"fresh_as_of": "2026-03-02T17:30:00Z"},
    }  # fmt: skip
    return json.dumps({name: value for name, value in (event | changes).items() if value is not ...}).encode()


STRUCTURED = [("content-type", b"application/cloudevents+json; charset=utf-8")]


def test_what_was_written_is_what_is_read() -> None:
    record = message()
    envelope, data = read_record(record.headers, record.key, record.value)
    assert envelope == ENVELOPE
    assert Heartbeat.tolerant_json(data) == DATA


def test_the_wire_form_is_the_documented_one() -> None:
    record = message()
    headers = dict(record.headers)
    assert record.key == KEY.encode()
    assert headers["content-type"] == b"application/json"
    assert headers["ce_specversion"] == b"1.0"
    assert headers["ce_time"] == b"2026-03-02T17:30:00Z"
    assert headers["ce_expirytime"] == b"2026-03-03T17:30:00Z"
    assert headers["ce_sequence"] == b"00000000000000000007"
    assert headers["ce_origin"] == b"backfill"
    assert headers["ce_partitionkey"] == KEY.encode()
    assert headers["traceparent"] == TRACE.encode()
    assert "ce_traceparent" not in headers
    assert "ce_authid" not in headers


def test_the_current_span_is_the_trace_that_is_sent() -> None:
    with TracerProvider(shutdown_on_exit=False).get_tracer("test").start_as_current_span("post") as span:
        header = dict(message().headers)["traceparent"]
    assert header is not None
    assert trace.format_trace_id(span.get_span_context().trace_id).encode() in header


def test_an_event_without_a_key_has_none_on_the_wire() -> None:
    record = message(partitionkey=None)
    assert record.key is None
    assert read_record(record.headers, None, record.value)[0].partitionkey is None


def test_a_record_key_alone_is_the_partition_key() -> None:
    headers = [each for each in message().headers if each[0] != "ce_partitionkey"]
    assert read_record(headers, KEY.encode(), b"{}")[0].partitionkey == KEY


def test_structured_mode_is_read() -> None:
    envelope, data = read_record(STRUCTURED, KEY.encode(), structured(sequence=3, partitionkey=KEY, dataschema=None))
    assert (envelope.id, envelope.sequence, envelope.partitionkey, envelope.time) == ("id-1", 3, KEY, AT)
    assert Heartbeat.tolerant_json(data) == DATA


def test_a_reader_ignores_attributes_it_does_not_know_and_takes_an_unknown_origin_for_unknown() -> None:
    envelope, _ = read_record(with_headers(ce_later=b"x", ce_origin=b"dreamt"), KEY.encode(), b"{}")
    assert envelope.origin is Origin.UNKNOWN


def test_a_foreign_header_may_be_anything() -> None:
    assert read_record([*message().headers, ("x-agent", b"\xff\x00"), ("x", None)], KEY.encode(), b"{}")


@pytest.mark.parametrize("bad", [b"\xff", b"hello", b"", None])
def test_an_unreadable_trace_is_dropped_and_the_event_kept(bad: bytes | None) -> None:
    assert read_record(with_headers(traceparent=bad), KEY.encode(), b"{}")[0].traceparent is None


@pytest.mark.parametrize("name", ["ce_id", "ce_time", "ce_subject", "content-type"])
@pytest.mark.parametrize("value", [b"\xff\xfe", None])
def test_an_envelope_header_that_is_null_or_not_text_is_named(name: str, value: bytes | None) -> None:
    assert reason(with_headers(**{name: value})) == "bad_header"


def test_an_envelope_header_that_stands_there_twice_is_ambiguous() -> None:
    assert reason([*message().headers, ("CE_ID", b"id-2")]) == "bad_header"


@pytest.mark.parametrize("name", ["ce_specversion", "ce_id", "ce_source", "ce_type", "ce_time"])
def test_nothing_that_is_missing_is_invented(name: str) -> None:
    assert reason([each for each in message().headers if each[0] != name]) == "bad_envelope"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ce_specversion", b"0.3"),
        ("ce_id", b""),
        ("ce_time", b"yesterday"),
        ("ce_time", b"2026-03-02T17:30:00"),
        ("ce_time", b"999999999999-01-01T00:00:00Z"),
        ("ce_type", b"NO TYPE"),
        ("ce_sequence", b"-1"),
        ("ce_sequence", b"many"),
        ("ce_tenant", b"Cedars Sinai"),
        ("ce_recordedtime", b"2026-03-02T17:30:00"),
        ("ce_bad name", b"x"),
    ],
)
def test_an_attribute_that_is_not_allowed_is_a_bad_envelope(name: str, value: bytes) -> None:
    assert reason(with_headers(**{name: value})) == "bad_envelope"


@pytest.mark.parametrize(
    "value",
    [
        b"not json", b"[]", b"7", b"\xff", b"[" * 60_000, structured(id=...), structured(time=...),
        structured(time=5), structured(data_base64="eA=="), structured(id=None), structured(specversion="0.3"),
    ],
)  # fmt: skip
def test_a_structured_record_that_is_no_event_is_a_bad_envelope(value: bytes) -> None:
    assert reason(STRUCTURED, KEY.encode(), value) == "bad_envelope"


def test_a_record_that_is_no_cloud_event_is_a_bad_envelope() -> None:
    assert reason([], KEY.encode(), b"hello") == "bad_envelope"


def test_keys_must_be_text_and_agree() -> None:
    assert reason(message(partitionkey=None).headers, b"\xff") == "bad_key"
    assert reason(message().headers, b"another") == "key_mismatch"
    assert reason(message().headers, None) == "key_mismatch"
    assert reason(STRUCTURED, b"another", structured(partitionkey=KEY)) == "key_mismatch"


@pytest.mark.parametrize("kind", [b"text/plain", b"application/cloudevents-batch+json", b"application/cloudevents+xml"])
def test_only_one_event_in_json_is_taken(kind: bytes) -> None:
    assert reason(with_headers(**{"content-type": kind})) == "bad_content_type"


@pytest.mark.parametrize("value", [None, b""])
def test_an_envelope_without_data_is_named(value: bytes | None) -> None:
    assert reason(message().headers, value=value) == "no_data"
    assert reason(STRUCTURED, None, structured(data=...)) == "no_data"


def test_more_than_64_kib_is_neither_written_nor_read() -> None:
    assert reason(message().headers, value=b"1" * (MAX_DATA_BYTES + 1)) == "too_large"
    assert reason(STRUCTURED, None, structured(data="1" * MAX_DATA_BYTES)) == "too_large"
    assert read_record(message().headers, KEY.encode(), b"1" * MAX_DATA_BYTES)
    many = WorklistItem(item_id=KEY, code="x", opened_at=AT).model_copy(update={"code": "x" * MAX_DATA_BYTES})
    with pytest.raises(Permanent, match="too_large"):
        to_message("t.v1", ENVELOPE, many)


BINARY = {
    "Content-Type": "application/json",
    "ce-specversion": "1.0",
    "ce-id": "id%201",
    "ce-source": "s",
    "ce-type": "org.upright.heartbeat.v1",
    "ce-time": "2026-03-02T09:30:00-08:00",
    "traceparent": TRACE,
}


def test_http_takes_one_event_in_binary_mode() -> None:
    ((envelope, data),) = read_http(BINARY, b'{"a": 1}')
    assert (envelope.id, envelope.traceparent, data) == ("id 1", TRACE, b'{"a": 1}')
    assert envelope.time == datetime(2026, 3, 2, 9, 30, tzinfo=timezone(timedelta(hours=-8)))


def test_http_takes_one_event_in_structured_mode() -> None:
    ((envelope, data),) = read_http({"content-type": "application/cloudevents+json"}, structured())
    assert (envelope.id, json.loads(data)) == ("id-1", {"fresh_as_of": "2026-03-02T17:30:00Z"})


def test_http_takes_a_batch_in_its_order() -> None:
    body = b"[" + structured(id="a") + b"," + structured(id="b", data=...) + b"]"
    events = read_http({"content-type": "application/cloudevents-batch+json; charset=utf-8"}, body)
    assert [(envelope.id, bool(data)) for envelope, data in events] == [("a", True), ("b", False)]


def test_http_names_each_error_by_event_and_field_and_repeats_no_value() -> None:
    bad = [
        structured(),
        structured(id=...),
        structured(time="2026-03-02T17:30:00"),
        structured(tenant="Anna Secret", origin="unknown"),
        structured(time="Anna Secret"),
        b'"Anna Secret"',
        structured(**{"a/b": "Anna Secret"}),
    ]
    with pytest.raises(Refused) as caught:
        read_http({"content-type": "application/cloudevents-batch+json"}, b"[" + b",".join(bad) + b"]")
    problems = caught.value.problems
    assert [(each.index, each.pointer) for each in problems] == [
        (1, "/id"), (2, "/time"), (3, "/tenant"), (3, "/origin"), (4, ""), (5, ""), (6, "/a~1b"),
    ]  # fmt: skip
    assert problems[0] == Problem(1, "/id", "is missing")
    assert "Secret" not in repr(problems) + str(caught.value)


@pytest.mark.parametrize(
    ("kind", "body", "expected"),
    [
        ("text/plain", b"{}", "bad_content_type"),
        ("application/cloudevents+avro", b"{}", "bad_content_type"),
        ("application/cloudevents+json", b"{", "bad_body"),
        ("application/cloudevents+json", b"[" * 100_000, "bad_body"),
        ("application/cloudevents-batch+json", b"{}", "bad_body"),
        ("application/cloudevents-batch+json", b"\xff", "bad_body"),
        ("application/json", b"{}", "bad_envelope"),
    ],
)
def test_http_refuses_a_body_that_holds_no_events(kind: str, body: bytes, expected: str) -> None:
    with pytest.raises(Refused) as caught:
        read_http({"content-type": kind}, body)
    assert caught.value.reason == expected
