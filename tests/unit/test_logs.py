"""No protected value reaches a log line, whoever wrote it."""

import io
import json
import logging
from dataclasses import dataclass
from typing import Any

import pytest
import structlog
from pydantic import BaseModel, ValidationError

from chassis import logs, tracing
from chassis.errors import Permanent
from chassis.log_repeats import Repeats
from chassis.settings import LogLevel, ObservabilitySettings
from schemas.protected import Protected


@pytest.fixture
def lines(logging_restored: None) -> io.StringIO:
    """Where the process logs to during the test."""
    stream = io.StringIO()
    logs.configure(ObservabilitySettings(), stream)
    return stream


@pytest.fixture
def log() -> Any:
    return structlog.get_logger("services.example")


def only(lines: io.StringIO) -> dict[str, Any]:
    (line,) = lines.getvalue().splitlines()
    entry: dict[str, Any] = json.loads(line)
    return entry


def test_a_line_is_one_json_object_with_time_level_and_logger(log: Any, lines: io.StringIO) -> None:
    log.info("relay_started", topic="intake.events.v1", rows=3)
    entry = only(lines)
    assert entry.pop("timestamp").endswith("Z")
    assert entry == {
        "event": "relay_started",
        "level": "info",
        "logger": "services.example",
        "topic": "intake.events.v1",
        "rows": 3,
    }


@pytest.mark.parametrize(
    "key", ["email", "patient_name", "rcptAddress", "phone", "birth_date", "Authorization", "body", "api_token"]
)
def test_a_telling_key_hides_its_value_at_any_depth(log: Any, lines: io.StringIO, key: str) -> None:
    log.info("seen", **{key: "Ada"}, nested=[{"in": {key: {"deep": "Ada"}}}])
    assert "Ada" not in lines.getvalue()
    assert only(lines)[key] == "<protected>"


@pytest.mark.parametrize("key", ["topic", "hostname", "username_hash", "filename", "part"])
def test_an_innocent_key_shows_its_value(log: Any, lines: io.StringIO, key: str) -> None:
    log.info("seen", **{key: "value"})
    assert only(lines)[key] == "value"


@dataclass
class Person:
    nick: str


class Form(BaseModel):
    nick: str


@pytest.mark.parametrize("value", [Protected("Ada"), Person("Ada"), Form(nick="Ada"), b"Ada", [Person("Ada")]])
def test_what_isnt_plain_shows_its_class_only(log: Any, lines: io.StringIO, value: object) -> None:
    log.info("seen", who=value)
    assert "Ada" not in lines.getvalue()


def test_an_address_in_a_text_is_hidden(log: Any, lines: io.StringIO) -> None:
    log.warning("refused by <ada@example.com>, bcc=bob@exämple.test", what="ada@example.com")
    assert "ada" not in lines.getvalue()
    assert "bob" not in lines.getvalue()


def test_control_and_direction_characters_cant_forge_a_line(log: Any, lines: io.StringIO) -> None:
    log.info("seen", reason="a\r\n{}\u202egnol" + "x" * 1000)
    assert only(lines)["reason"].startswith("a\ufffd\ufffd{}\ufffdgnol")
    assert len(only(lines)["reason"]) == 500


def raise_with_cause() -> None:
    try:
        Form.model_validate({"nick": 17, "x": "Ada"})
    except ValidationError as error:
        raise LookupError("no Ada here") from error


def test_an_exception_shows_classes_and_places_but_no_text(log: Any, lines: io.StringIO) -> None:
    try:
        raise_with_cause()
    except LookupError:
        log.exception("failed")
    outer, inner = only(lines)["exception"]
    assert (outer["class"], inner["class"]) == ("builtins.LookupError", "pydantic_core._pydantic_core.ValidationError")
    assert outer["at"][-1].endswith("raise_with_cause")
    assert "Ada" not in lines.getvalue()
    assert "17" not in json.dumps(inner["class"])


def test_our_own_errors_show_their_reason(log: Any, lines: io.StringIO) -> None:
    log.error("buried", exc_info=Permanent("bad_envelope"))
    assert only(lines)["exception"][0]["reason"] == "bad_envelope"


def test_a_librarys_line_goes_the_same_way(lines: io.StringIO) -> None:
    try:
        raise ValueError("Ada lives here")
    except ValueError:
        logging.getLogger("some.library").exception("for %s", "ada@example.com")
    entry = only(lines)
    assert entry["event"] == "for <protected>"
    assert entry["exception"][0]["class"] == "builtins.ValueError"
    assert "Ada" not in lines.getvalue()


def test_libraries_are_heard_from_warnings_on_and_we_from_our_level(log: Any, lines: io.StringIO) -> None:
    logging.getLogger("some.library").info("chatter")
    log.debug("detail")
    assert lines.getvalue() == ""


def test_the_level_is_a_setting(log: Any, lines: io.StringIO) -> None:
    logs.configure(ObservabilitySettings(log_level=LogLevel.DEBUG), lines)
    log.debug("detail")
    assert only(lines)["event"] == "detail"


def test_text_for_people_is_redacted_too(log: Any, lines: io.StringIO) -> None:
    logs.configure(ObservabilitySettings(log_json=False), lines)
    try:
        raise ValueError("Ada")
    except ValueError:
        log.exception("failed", email="ada@example.com")
    assert "failed" in lines.getvalue()
    assert "builtins.ValueError" in lines.getvalue()
    assert "ada" not in lines.getvalue().lower()


def test_the_service_and_the_trace_stand_in_the_line(log: Any, lines: io.StringIO) -> None:
    logs.bind_service("intake")
    provider = tracing.tracer_provider("intake")
    with tracing.span(provider, "work", traceparent=f"00-{'ab' * 16}-{'cd' * 8}-01"):
        log.info("seen")
        assert (tracing.current_traceparent() or "").split("-")[1] == "ab" * 16
    assert only(lines)["service"] == "intake"
    assert only(lines)["trace_id"] == "ab" * 16


class Seconds:
    """A clock that stands until it is told."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def seconds(lines: io.StringIO) -> Seconds:
    """Of the throttle of the process' own handler."""
    clock = Seconds()
    (handler,) = logging.root.handlers
    handler.filters = [Repeats(clock=clock)]
    return clock


def events(lines: io.StringIO) -> list[str]:
    return [json.loads(line)["event"] for line in lines.getvalue().splitlines()]


def test_a_process_writes_the_same_complaint_once_at_a_time(log: Any, lines: io.StringIO) -> None:
    for _ in range(5):
        log.warning("store_away", part="sender")
    assert events(lines) == ["store_away"]


def test_a_complaint_comes_at_once_then_every_ten_seconds_with_the_number_left_out(
    log: Any, lines: io.StringIO, seconds: Seconds
) -> None:
    for _ in range(41):
        log.warning("store_away", part="sender")
        seconds.now += 0.5
    shown = [json.loads(line).get("repeated") for line in lines.getvalue().splitlines()]
    assert shown == [None, 19, 19]


def test_a_librarys_complaint_is_the_same_whatever_its_values(lines: io.StringIO, seconds: Seconds) -> None:
    library = logging.getLogger("some.library")
    for node in range(35):
        library.error("no way to node %s", node)
    library.error("another")
    seconds.now += 10
    library.error("no way to node %s", 99)
    assert events(lines) == ["no way to node 0", "another", "no way to node 99 (and 34 times before)"]


def test_two_complaints_of_ours_that_differ_in_anything_are_both_written(
    log: Any, lines: io.StringIO, seconds: Seconds
) -> None:
    log.warning("dead letter", offset=1)
    log.warning("dead letter", offset=2)
    log.error("dead letter", offset=2)
    assert len(events(lines)) == 3


def test_what_is_no_complaint_is_written_every_time(log: Any, lines: io.StringIO, seconds: Seconds) -> None:
    for _ in range(3):
        log.info("request", status=202)
    assert len(events(lines)) == 3


def test_complaints_without_end_are_not_kept_without_end(log: Any, lines: io.StringIO, seconds: Seconds) -> None:
    for offset in range(1000):
        log.warning("dead letter", offset=offset)
    log.warning("dead letter", offset=999)
    assert len(events(lines)) == 1000
    log.warning("dead letter", offset=1000)
    log.warning("dead letter", offset=999)
    assert len(events(lines)) == 1002
