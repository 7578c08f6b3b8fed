"""JSON Schemas of the models, as producers must keep to them: closed, and without the enum member ``unknown``."""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from schemas.base import Contract
from schemas.blocks import BLOCKS, blocks_of
from schemas.envelope import SCHEMA_BASE, Envelope
from schemas.programs import Program
from schemas.registry import EVENT_TYPES, EventType

Schema = dict[str, Any]


class _WithoutTitles(GenerateJsonSchema):
    """A title that only repeats the field's name says nothing."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def json_schemas() -> dict[str, Schema]:
    """All JSON Schemas by file name, without ``.json``: events, posted data, sealed blocks, envelope, program."""
    return {
        **{_file(each): event_schema(each) for each in EVENT_TYPES.values()},
        **{f"posted/{_file(each)}": schema_of(f"posted/{_file(each)}", model) for each, model in _posted()},
        **{f"blocks/{each.name}": schema_of(f"blocks/{each.name}", each.model) for each in BLOCKS},
        "envelope": schema_of("envelope", Envelope),
        "program": schema_of("program", Program),
    }


def _file(event: EventType) -> str:
    return f"{event.name}.v{event.major}"


def _posted() -> Iterator[tuple[EventType, type[Contract]]]:
    return ((each, each.posted) for each in EVENT_TYPES.values() if each.posted)


def event_schema(event: EventType) -> Schema:
    """Data of one event; ``x-block`` names the schema of what is sealed in a field."""
    schema = schema_of(_file(event), event.data)
    for field, block in blocks_of(event.data).items():
        schema["properties"][field]["x-block"] = f"blocks/{block.name}.json"
    return schema


def schema_of(name: str, model: type[Contract]) -> Schema:
    """One model. ``$id`` is what ``ce_dataschema`` says of an event."""
    made: Schema = _closed(model.model_json_schema(schema_generator=_WithoutTitles))
    return {"$schema": GenerateJsonSchema.schema_dialect, "$id": f"{SCHEMA_BASE}{name}.json", **made}


def _closed(node: Any) -> Any:
    if isinstance(node, list):
        return [_closed(each) for each in node]
    if not isinstance(node, Mapping):
        return node
    closed = {key: _closed(value) for key, value in node.items()}
    if isinstance(node.get("properties"), Mapping) and node.get("type") == "object":
        closed.setdefault("additionalProperties", False)
    return closed
