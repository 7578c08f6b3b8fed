"""Posts of events: as their contracts have them, nearly, in all three forms that CloudEvents has over HTTP."""

import json
import re
from collections.abc import Mapping
from random import Random
from typing import Any
from uuid import UUID

from schemas.envelope import TYPE_PREFIX
from schemas.registry import EVENT_TYPES
from tests.fuzz.shapes import Shapes, anything, text

_POSTED = {name: each.posted.model_json_schema() for name, each in EVENT_TYPES.items() if each.posted is not None}
_ATTRIBUTES = ("specversion", "id", "source", "type", "time", "subject", "data", "datacontenttype", "partitionkey")


class Posting:
    """``known``: what exists, by the name of the field that names it."""

    def __init__(self, known: Mapping[str, list[str]]) -> None:
        self._known = known
        self._subjects = [str(UUID(int=number, version=4)) for number in range(20)]

    def events(self, chance: Random) -> tuple[dict[str, bytes], bytes]:
        """Headers and body."""
        event = self.event(chance)
        match chance.randrange(4):
            case 0:
                batch = [event, *(self.event(chance) for _ in range(chance.randrange(3)))]
                return _typed("application/cloudevents-batch+json", batch)
            case 1:
                return _binary(event)
            case _:
                return _typed("application/cloudevents+json", event)

    def event(self, chance: Random) -> dict[str, Any]:
        """About a known patient or one of a few other things, so that events meet each other."""
        name = chance.choice(list(_POSTED))
        schema, odd = _POSTED[name], chance.choice((0, 0, 0.02, 0.1))
        family = name.partition(".")[0]
        subjects = self._known["patient_id"] if family == "patient" else self._subjects
        event = {
            "specversion": "1.0", "id": str(UUID(int=chance.getrandbits(128), version=4)),
            "source": "https://poster.example/fuzz", "type": f"{TYPE_PREFIX}{name}.v1", "time": "2027-02-26T17:00:00Z",
            "datacontenttype": "application/json", "subject": f"{family}/{chance.choice(subjects)}",
            "data": Shapes(schema.get("$defs", {}), self._known).of(chance, schema, odd=odd),
        }  # fmt: skip
        if chance.random() < 0.1:
            event[chance.choice(_ATTRIBUTES) if chance.random() < 0.8 else text(chance, 9)] = anything(chance)
        return event


def _typed(media: str, value: Any) -> tuple[dict[str, bytes], bytes]:
    return {"content-type": media.encode()}, json.dumps(value).encode()


def _binary(event: dict[str, Any]) -> tuple[dict[str, bytes], bytes]:
    """The envelope stands in the headers."""
    said = {f"ce-{name}": _header(value) for name, value in event.items() if name.isalnum() and name.isascii()}
    said["content-type"] = _header(event.get("datacontenttype", ""))
    return said, json.dumps(event.get("data")).encode()


def _header(value: Any) -> bytes:
    return re.sub(r"[^ -~]", "?", str(value))[:500].encode()
