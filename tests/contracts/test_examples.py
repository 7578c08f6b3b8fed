"""Every golden example ever committed still parses, opens, and says the same."""

import json
from collections.abc import Iterator
from contextlib import nullcontext
from enum import StrEnum
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from pydantic import ValidationError

from chassis.cloudevents import read_record
from chassis.errors import Permanent
from chassis.sealing import Keyring
from schemas.base import Contract
from schemas.blocks import blocks_of
from schemas.envelope import Envelope
from schemas.registry import BY_WIRE, EVENT_TYPES, EventType
from standalone.contracts.__main__ import ROOT
from standalone.contracts.examples import KEY, KEY_ID
from standalone.contracts.people import KEY_FIELD

EXAMPLES = sorted((ROOT / "examples").rglob("*.json"))
NAMES = [str(each.relative_to(ROOT / "examples")) for each in EXAMPLES]
every_example = pytest.mark.parametrize("file", EXAMPLES, ids=NAMES)


def read(file: Path) -> tuple[dict[str, Any], Envelope, EventType, bytes]:
    record = json.loads(file.read_text())
    headers = [(name, value.encode()) for name, value in record["headers"].items()]
    key = record["key"].encode() if record["key"] else None
    envelope, data = read_record(headers, key, json.dumps(record["data"]).encode())
    return record, envelope, BY_WIRE[envelope.type], data


@every_example
def test_consumers_read_it_and_see_every_field_it_has(file: Path) -> None:
    record, _, event, data = read(file)
    seen = event.data.tolerant_json(data).model_dump(mode="json")
    assert of_the_same_fields(seen, record["data"]) == record["data"]


def of_the_same_fields(seen: Any, written: Any) -> Any:
    """What was seen, without the fields that are younger than what was written."""
    if isinstance(written, dict) and isinstance(seen, dict):
        return {name: of_the_same_fields(seen.get(name), value) for name, value in written.items()}
    if isinstance(written, list) and isinstance(seen, list) and len(written) == len(seen):
        return [of_the_same_fields(*each) for each in zip(seen, written, strict=True)]
    return seen


@every_example
def test_consumers_read_it_with_fields_they_do_not_know(file: Path) -> None:
    record, _, event, _ = read(file)
    more = json.dumps({**record["data"], "of_a_later_version": {"any": "thing"}})
    assert event.data.tolerant_json(more) == event.data.tolerant_json(json.dumps(record["data"]))


@every_example
def test_a_word_of_a_later_version_is_unknown_to_consumers_and_refused_from_producers(file: Path) -> None:
    record, _, event, data = read(file)
    for path, _ in words_of(event.data.tolerant_json(data).model_dump()):
        for word in ("of-a-later-version", "unknown"):
            later = json.dumps(changed(record["data"], path, word))
            assert (path, "unknown") in dict(words_of(event.data.tolerant_json(later).model_dump())).items()
            with pytest.raises(ValidationError):
                event.data.strict_json(later)


def words_of(seen: Any, *path: Any) -> Iterator[tuple[tuple[Any, ...], str]]:
    """All values that are words of a fixed set, with their paths; but criteria aren't judged by halves."""
    if isinstance(seen, StrEnum) and "eligibility" not in path:
        yield path, seen
    for key, value in seen.items() if isinstance(seen, dict) else enumerate(seen) if isinstance(seen, tuple) else ():
        yield from words_of(value, *path, key)


def changed(node: Any, path: tuple[Any, ...], to: Any) -> Any:
    """The same with another value at ``path``."""
    if not path:
        return to
    inner = changed(node[path[0]], path[1:], to)
    return node | {path[0]: inner} if isinstance(node, dict) else [*node[: path[0]], inner, *node[path[0] + 1 :]]


@every_example
def test_versions_count_from_one(file: Path) -> None:
    record, _, event, _ = read(file)
    if "version" in record["data"]:
        event.data.tolerant_json(json.dumps({**record["data"], "version": 1}))
        with pytest.raises(ValidationError, match="greater_than_equal"):
            event.data.tolerant_json(json.dumps({**record["data"], "version": 0}))


@every_example
def test_producers_may_not_add_a_field(file: Path) -> None:
    record, _, event, _ = read(file)
    event.data.strict_json(json.dumps(record["data"]))
    with pytest.raises(ValidationError, match="extra_forbidden"):
        event.data.strict_json(json.dumps({**record["data"], "added": 1}))


@every_example
def test_it_keeps_to_the_json_schema(file: Path) -> None:
    record, _, event, _ = read(file)
    schema = json.loads((ROOT / f"generated/{event.name}.v{event.major}.json").read_text())
    jsonschema.Draft202012Validator(schema).validate(record["data"])


@every_example
def test_its_blocks_open_for_its_tenant_and_subject_alone(file: Path) -> None:
    record, envelope, event, data = read(file)
    state, ring = event.data.tolerant_json(data), Keyring({KEY_ID: KEY}, KEY_ID)
    for field, opened in record["opened"].items():
        model, sealed = blocks_of(event.data)[field].model, getattr(state, field)
        tenant, subject = envelope.tenant or "", envelope.subject or ""
        block = ring.open(sealed, model, tenant=tenant, subject=subject)
        assert block == model.strict_json(json.dumps(opened))
        with pytest.raises(Permanent, match="cannot_open"):
            ring.open(sealed, model, tenant="kaiser", subject=subject)


@every_example
def test_its_subject_key_and_version_agree_with_its_data(file: Path) -> None:
    record, envelope, event, _ = read(file)
    data = record["data"]
    assert record["topic"] == event.topic
    assert envelope.partitionkey == record["key"] == data.get(KEY_FIELD.get(event.subject, "patient_id"))
    assert envelope.sequence == data.get("version", data.get("sequence"))
    if envelope.subject:
        family, _, subject = envelope.subject.partition("/")
        assert family == event.subject
        nested = data.get("delivery", {}).get("delivery_id")
        assert subject in {data.get(f"{family}_id"), data.get("item_id"), data.get("patient_id"), nested}


def test_every_event_has_a_full_example_and_numbers_without_gaps() -> None:
    for event in EVENT_TYPES.values():
        folder = ROOT / f"examples/{event.name}.v{event.major}"
        numbers = sorted(int(each.stem) for each in folder.glob("*.json"))
        assert numbers == list(range(1, len(numbers) + 1)) != []


def test_every_field_of_every_model_stands_filled_in_some_example() -> None:
    filled: dict[type, set[str]] = {}
    for file in EXAMPLES:
        record, _, event, _ = read(file)
        for model in event.data.__mro__:
            filled.setdefault(model, set()).update(name for name, value in record["data"].items() if value is not None)
    for model, names in filled.items():
        if issubclass(model, Contract):
            assert set(model.__annotations__) <= names, model.__name__


@pytest.mark.parametrize(("tier", "taken"), [(0, True), (1, True), (-1, False), (2, False)])
def test_a_mail_has_one_of_two_tiers(tier: int, taken: bool) -> None:
    record, _, event, _ = read(ROOT / "examples/delivery.sent.v1/1.json")
    said = json.dumps(changed(record["data"], ("delivery", "tier"), tier))
    with nullcontext() if taken else pytest.raises(ValidationError, match="tier"):
        event.data.strict_json(said)


def test_a_worklist_item_that_says_no_version_is_at_its_first() -> None:
    record, _, event, _ = read(ROOT / "examples/worklist.opened.v1/1.json")
    data = {name: value for name, value in record["data"].items() if name != "version"}
    assert event.data.tolerant_json(json.dumps(data)).model_dump()["version"] == 1


def test_what_was_read_does_not_change() -> None:
    _, envelope, _, _ = read(EXAMPLES[0])
    for name in Envelope.model_fields:
        with pytest.raises(ValidationError, match="frozen"):
            setattr(envelope, name, None)
