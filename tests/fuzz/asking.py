"""Requests for the routes of one service, as its OpenAPI has them and as nobody should send them."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any
from urllib.parse import quote, urlencode
from uuid import UUID

from tests.fuzz.posting import Posting
from tests.fuzz.shapes import NASTY, Shapes, text
from tests.fuzz.spoiling import raw_body, spoilt
from tests.support.coordinating import study
from tests.support.doors import Door, routes

Headers = dict[str, bytes]
Body = tuple[Headers, bytes]
_HEADERS = (
    "content-type", "idempotency-key", "if-match",
    "last-event-id", "origin", "sec-fetch-site", "hx-request", "cookie",
    "traceparent", "ce-id", "ce-time", "ce-type", "ce-specversion", "ce-source", "accept", "authorization",
)  # fmt: skip
_VALUES = (
    b"http://[", b"application/json", b"application/cloudevents+json; charset=x", b'"1"', b"-1", b"9" * 30, b"Bearer",
    b"Bearer \xff.\xff", b"trials_session=a.b", b"null", b"*", b"W/\"x\"",
    b"00-" + b"f" * 32 + b"-" + b"f" * 16 + b"-01",
)  # fmt: skip
_ENDLESS = "/v1/subscriptions/{subscription_id}/events"
"""A stream of what is there never ends; the rest of its route is tried."""

_FIELDS = ("key", "state", "version", "title", "criteria", "if_match", "group-0", "fact-0-0", "op-0-0", "value-0-0")


@dataclass(frozen=True, slots=True)
class Ask:
    """One request; the key and what else opens the route are added by who sends it, unless ``keyless``."""

    method: str
    target: str
    headers: Headers = field(default_factory=dict)
    body: bytes = b""
    keyless: bool = False


class Asking:
    """Any route, those that take a document more often."""

    def __init__(self, door: Door) -> None:
        self._known = door.known
        self._document = door.app.openapi()
        self._shapes = Shapes(_definitions(self._document), door.known)
        self._posting = Posting(door.known)
        self._routes = [each for each in routes(door.app) for _ in range(8 if each[0] in ("POST", "PUT") else 1)]

    def one(self, chance: Random) -> Ask:
        method, path = chance.choice(self._routes)
        operation = self._document["paths"].get(path, {}).get(method.lower(), {})
        headers, body = self._body(chance, path, operation) if method in ("POST", "PUT") else ({}, b"")
        if chance.random() < 0.1:
            odd = chance.choice(_VALUES) if chance.random() < 0.5 else _wire(text(chance, 40))
            headers = headers | {chance.choice(_HEADERS): odd}
        target = self._target(chance, path) + self._query(chance, operation)
        return Ask(method, target, headers, body, keyless=chance.random() < 0.03)

    def _target(self, chance: Random, path: str) -> str:
        known = self._known if path != _ENDLESS else {}
        return re.sub(r"\{(\w+)\}", lambda found: _value(chance, known.get(found[1], ())), path)

    def _query(self, chance: Random, operation: Mapping[str, Any]) -> str:
        own = [each for each in operation.get("parameters", ()) if each["in"] == "query"]
        said = {
            each["name"]: self._shapes.of(chance, each["schema"], each["name"], 0.3)
            for each in own
            if chance.random() < 0.7
        }
        return "?" + urlencode(said, errors="surrogatepass", doseq=True) if said else ""

    def _body(self, chance: Random, path: str, operation: Mapping[str, Any]) -> Body:
        if chance.random() < 0.05:
            return _typed("application/json", raw_body(chance))
        own = _own_schema(operation)
        if path == "/v1/events":
            return self._posting.events(chance)
        if path == "/v1/preview" and chance.random() < 0.8:
            patient = chance.choice(self._known["patient_id"])
            changes = [self._posting.event(chance) for _ in range(chance.randrange(3))]
            return _json({"patient_id": patient, "changes": changes})
        if path == "/v1/trials/import":
            return _import(chance)
        if own:
            return _json(self._shapes.of(chance, own, odd=chance.choice((0, 0.02, 0.1))))
        return _typed("application/x-www-form-urlencoded", _form(chance))


def _definitions(document: Mapping[str, Any]) -> dict[str, Any]:
    """Of the document and of each operation's own."""
    found = dict(document.get("components", {}).get("schemas", {}))
    for path in document["paths"].values():
        for operation in path.values():
            found |= _own_schema(operation).get("$defs", {})
    return found


def _own_schema(operation: Mapping[str, Any]) -> dict[str, Any]:
    """Of the body, where it is JSON."""
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    return dict(body.get("schema", {}))


def _value(chance: Random, known: "list[str] | tuple[()]") -> str:
    if known and chance.random() < 0.7:
        return chance.choice(known)
    if chance.random() < 0.4:
        return str(UUID(int=chance.getrandbits(128), version=4))
    strange = str(chance.choice(NASTY)) if chance.random() < 0.5 else text(chance, 30)
    return quote((strange or ".")[:300].encode("utf-8", "surrogatepass"), safe="")


def _wire(value: str) -> bytes:
    """What may stand in a header on the wire: a server refuses the rest before we see it."""
    return bytes(each for each in value.encode("utf-8", "surrogatepass") if 32 <= each != 127)


def _typed(media: str, body: bytes) -> Body:
    return {"content-type": media.encode()}, body


def _json(value: Any) -> Body:
    return _typed("application/json", json.dumps(value).encode())


def _form(chance: Random) -> bytes:
    def pairs() -> Iterator[tuple[str, str]]:
        for _ in range(chance.randrange(8)):
            name = chance.choice(_FIELDS) if chance.random() < 0.8 else text(chance, 9)
            yield name, str(chance.choice(NASTY)) if chance.random() < 0.5 else text(chance)

    return urlencode(list(pairs()), errors="surrogatepass").encode()


def _import(chance: Random) -> Body:
    arms = {"armsInterventionsModule": {"interventions": [{"type": "DRUG", "name": "Example"}]}}
    record = study(7, "Inclusion Criteria:\n* Adults (18 to 65 years)\n\nExclusion:\n1. x", **arms)
    records = [spoilt(chance, record) for _ in range(chance.randrange(1, 4))]
    if chance.random() < 0.5:
        return _json(records[0] if chance.random() < 0.5 else {"studies": records})
    return _typed("application/x-ndjson", b"\n".join(json.dumps(each).encode() for each in records))
