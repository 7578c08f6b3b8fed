"""Inside a major version the new schema accepts all that the old one did: each way to break that is seen."""

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import create_model

from schemas.appointment import AppointmentState
from schemas.registry import EVENT_TYPES
from standalone.contracts.compatible import incompatibilities
from standalone.contracts.json_schemas import json_schemas, schema_of

ALL = {name: schema for name, schema in json_schemas().items() if name != "program"}
SCHEMAS = {name: ALL[name] for name in {repr({**schema, "$id": ""}): name for name, schema in ALL.items()}.values()}
"""One of each: the events of one family have the same."""

OLD: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["id", "state"],
    "properties": {
        "id": {"type": "string", "format": "uuid"},
        "state": {"type": "string", "enum": ["a", "b"]},
        "note": {"anyOf": [{"type": "string", "maxLength": 20}, {"type": "null"}]},
        "count": {"type": "integer", "minimum": 1},
        "code": {"type": "string", "pattern": "^[ab]{1,2}$"},
        "names": {"type": "object", "propertyNames": {"format": "uuid"}, "additionalProperties": {"type": "string"}},
        "items": {"type": "array", "maxItems": 4, "items": {"$ref": "#/$defs/Item"}},
        "block": {"$ref": "#/$defs/Item", "x-block": "blocks/one.json"},
    },
    "$defs": {"Item": {
        "type": "object", "additionalProperties": False, "required": ["key"],
        "properties": {"key": {"type": "string"}, "text": {"type": "string"}},
    }},
}  # fmt: skip


def changed(*path: str | int, to: Any) -> dict[str, Any]:
    """The schema with another value at ``path``; None takes it away."""
    new = copy.deepcopy(OLD)
    place: Any = new
    for step in path[:-1]:
        place = place[step]
    if to is None:
        del place[path[-1]]
    else:
        place[path[-1]] = to
    return new


P = "properties"
BREAKING = {
    "an optional field goes away": (changed(P, "count", to=None), "count: is gone"),
    "a required field goes away": (changed(P, "id", to=None), "id: is gone"),
    "an optional field becomes required": (changed("required", to=["id", "state", "note"]), "note: has become"),
    "an enum gets narrower": (changed(P, "state", "enum", to=["a"]), "state: no longer accepts"),
    "a type changes": (changed(P, "count", "type", to="string"), "count: no longer accepts"),
    "null is no longer allowed": (changed(P, "note", to={"type": "string", "maxLength": 20}), "note: no longer"),
    "a text gets shorter": (changed(P, "note", "anyOf", 0, "maxLength", to=19), "note"),
    "a lower bound rises": (changed(P, "count", "minimum", to=2), "count: no longer accepts"),
    "a pattern gets narrower": (changed(P, "code", "pattern", to="^[ab]$"), "code: no longer accepts"),
    "a format is asked for": (changed(P, "code", to={"type": "string", "format": "uuid"}), "code: no longer accepts"),
    "a format changes": (changed(P, "id", "format", to="date"), "id: no longer accepts"),
    "a constant changes": (changed(P, "state", to={"const": "a"}), "state: no longer accepts"),
    "names of properties are bound": (changed(P, "names", "propertyNames", to={"maxLength": 3}), "can't be judged"),
    "values of properties change": (
        changed(P, "names", "additionalProperties", "type", to="integer"), "names[additionalProperties]: no longer",
    ),
    "a list gets shorter": (changed(P, "items", "maxItems", to=3), "items: no longer accepts"),
    "an item loses a field": (changed("$defs", "Item", P, "text", to=None), "items[items].text: is gone"),
    "an item needs a field": (changed("$defs", "Item", "required", to=["key", "text"]), "text: has become required"),
    "a field seals another block": (changed(P, "block", "x-block", to="blocks/two.json"), "can't be judged"),
    "a keyword nobody judges appears": (changed(P, "code", "contentEncoding", to="base64"), "can't be judged"),
    "a keyword nobody judges appears on the whole": (changed("dependentRequired", to={"note": ["count"]}), "judged"),
}  # fmt: skip


@pytest.mark.parametrize("how", BREAKING)
def test_is_refused_and_named_when(how: str) -> None:
    new, reason = BREAKING[how]
    assert any(reason in each for each in incompatibilities(OLD, new)), incompatibilities(OLD, new)


COMPATIBLE = {
    "nothing changes": copy.deepcopy(OLD),
    "an optional field comes": changed(P, "more", to={"type": "string", "format": "uuid"}),
    "an optional field with an unjudged keyword comes": changed(
        P, "more", to={"type": "object", "propertyNames": {"maxLength": 3}, "additionalProperties": {"type": "string"}}
    ),
    "an item gets an optional field": changed("$defs", "Item", P, "more", to={"type": "integer"}),
    "an enum gets wider": changed(P, "state", "enum", to=["a", "b", "c"]),
    "a text gets longer": changed(P, "note", "anyOf", 0, "maxLength", to=21),
    "a required field becomes optional": changed("required", to=["id"]),
    "null becomes allowed": changed(P, "count", to={"anyOf": [{"type": "integer", "minimum": 1}, {"type": "null"}]}),
    "a format is no longer asked for": changed(P, "id", to={"type": "string"}),
    "only words change": changed("description", to="Other words."),
}


@pytest.mark.parametrize("how", COMPATIBLE)
def test_passes_when(how: str) -> None:
    assert incompatibilities(OLD, COMPATIBLE[how]) == []


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_contract_refuses_the_loss_of_any_field_and_takes_a_new_one(name: str) -> None:
    old = SCHEMAS[name]
    for field in old["properties"]:
        new = copy.deepcopy(old)
        del new["properties"][field]
        new["required"] = [each for each in old.get("required", []) if each != field]
        assert any(each.startswith(f"{field}: ") for each in incompatibilities(old, new)), field
    new = copy.deepcopy(old)
    new["properties"]["one_more"] = {"type": "string"}
    assert incompatibilities(old, new) == []
    new["required"] = [*old.get("required", []), "one_more"]
    assert incompatibilities(old, new) != []


def test_no_event_may_be_sent_with_the_word_that_only_readers_use() -> None:
    assert [each for each in EVENT_TYPES for words in _enums(ALL[f"{each}.v1"]) if "unknown" in words] == []


def _enums(node: Any) -> Iterator[list[Any]]:
    if isinstance(node, dict):
        if isinstance(words := node.get("enum"), list):
            yield words
        yield from (words for each in node.values() for words in _enums(each))


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_contract_refuses_another_type_of_any_field(name: str) -> None:
    old = SCHEMAS[name]
    for field, schema in old["properties"].items():
        if not schema.keys() <= {"description", "title"}:  # a field that takes anything has no other type
            new = copy.deepcopy(old)
            new["properties"][field] = {"type": "array", "items": {"type": "boolean"}}
            assert incompatibilities(old, new) != [], field


def test_a_schema_that_contains_itself_is_judged_definition_by_definition() -> None:
    def tree(**fields: Any) -> dict[str, Any]:
        fields["of"] = {"type": "array", "items": {"$ref": "#/$defs/Node"}}
        node = {"type": "object", "additionalProperties": False, "properties": fields}
        return {"type": "object", "properties": {"tree": {"$ref": "#/$defs/Node"}}, "$defs": {"Node": node}}

    old = tree(value={"type": "string", "maxLength": 20})
    assert incompatibilities(old, tree(value={"type": "string", "maxLength": 21})) == []
    assert incompatibilities(old, tree(value={"type": "string", "maxLength": 19})) != []
    assert incompatibilities(old, tree())[0].startswith("Node.")
    assert incompatibilities(old, {"type": "object", "properties": {"tree": {"type": "object"}}}) != []


def test_a_model_with_one_more_optional_field_is_compatible_and_with_a_required_one_is_not() -> None:
    old = schema_of("it", AppointmentState)
    optional = create_model("AppointmentState", __base__=AppointmentState, room=(str | None, None))
    required = create_model("AppointmentState", __base__=AppointmentState, room=(str, ...))
    assert incompatibilities(old, schema_of("it", optional)) == []
    assert incompatibilities(old, schema_of("it", required)) == ["room: has become required"]
