"""JSON that a schema allows, nearly: any value of it may be one that only an attacker would write."""

import string
from collections.abc import Mapping, Sequence
from functools import cache
from random import Random
from typing import Any
from uuid import UUID

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

NASTY: Sequence[Any] = (
    "", " ", "\x00", "a\x00b", "a\r\nBcc: x@example.org", "\ud800", "\u202e", "🩺" * 300, "x" * 5_000,
    "../../etc/passwd", "../UTC", "%00", "{{7*7}}", "' OR 1=1 --", "<script>", "NaN", "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59-14:00", "2027-03-14T02:30:00-08:00", "0000-00-00", "9999-12-31", "P99999999Y",
    "America/Los_Angeles", "Etc/GMT+14", "localtime", 0, -1, 2**31, 2**63, 2**64, 10**400, -(10**400), 0.1, 1e308, -0.0,
    float("nan"), float("inf"), True, None, [], {}, [[]], [None], {"": None}, "http://[", "1e999", "١٢",
)  # fmt: skip
_CHARACTERS = string.printable + "éÿŁ語🩺\x00\u0000\u2028\u202e\ufeff\ud83d\u0300ß"


def text(chance: Random, longest: int = 20) -> str:
    """Any characters, also half ones."""
    return "".join(chance.choices(_CHARACTERS, k=chance.randrange(longest + 1)))


def anything(chance: Random, depth: int = 3) -> Any:
    """Any JSON."""
    kind = chance.randrange(8 if depth else 6)
    if kind == 6:
        return [anything(chance, depth - 1) for _ in range(chance.randrange(4))]
    if kind == 7:
        return {text(chance, 8): anything(chance, depth - 1) for _ in range(chance.randrange(4))}
    return text(chance) if kind < 2 else chance.choice(NASTY)


class Shapes:
    """Values for the schemas of one document; ``known`` are values worth naming, by the name of their property."""

    def __init__(self, definitions: Mapping[str, Any], known: Mapping[str, Sequence[str]]) -> None:
        self._definitions, self._known = definitions, known

    def of(self, chance: Random, schema: Mapping[str, Any], name: str = "", odd: float = 0.02) -> Any:
        """Mostly what ``schema`` allows, or what is known by ``name``; ``odd``: how often it isn't."""
        if chance.random() < odd:
            return anything(chance)
        if name in self._known and chance.random() < 0.9:
            return chance.choice(self._known[name])
        return self._exact(chance, schema, odd)

    def _exact(self, chance: Random, schema: Mapping[str, Any], odd: float) -> Any:
        if "$ref" in schema:
            return self._exact(chance, self._definitions[schema["$ref"].rpartition("/")[2]], odd)
        if "const" in schema or "enum" in schema:
            return chance.choice(schema.get("enum") or [schema["const"]])
        for several in ("anyOf", "oneOf"):
            if several in schema:
                return self.of(chance, chance.choice(schema[several]), odd=odd)
        kind = schema.get("type")
        if kind == "array":
            return self._array(chance, schema, odd)
        if kind == "object":
            return self._object(chance, schema, odd)
        simple = {"string": _string, "integer": _number, "number": _number}.get(str(kind))
        if simple is not None:
            return simple(chance, schema)
        return {"boolean": chance.random() < 0.5, "null": None}.get(str(kind), anything(chance))

    def _array(self, chance: Random, schema: Mapping[str, Any], odd: float) -> list[Any]:
        if "prefixItems" in schema:
            return [self.of(chance, each, odd=odd) for each in schema["prefixItems"]]
        count = schema.get("minItems", 0) + chance.choice((0, 1, 1, 2))
        return [self.of(chance, schema.get("items", {}), odd=odd) for _ in range(count)]

    def _object(self, chance: Random, schema: Mapping[str, Any], odd: float) -> dict[str, Any]:
        properties, required = schema.get("properties", {}), schema.get("required", ())
        made = {
            name: self.of(chance, each, name, odd)
            for name, each in properties.items()
            if chance.random() < (1 - odd if name in required else 0.4)
        }
        more = schema.get("additionalProperties", not properties)
        if more and not properties:
            made[text(chance, 9)] = self.of(chance, more if isinstance(more, Mapping) else {}, odd=odd)
        elif chance.random() < odd:
            made[text(chance, 9)] = anything(chance)
        return made


def _string(chance: Random, schema: Mapping[str, Any]) -> str:
    match schema.get("format"):
        case "uuid":
            return str(UUID(int=chance.getrandbits(128), version=4))
        case "date":
            return f"{chance.randint(1900, 2030)}-{chance.randint(1, 12):02}-{chance.randint(1, 29):02}"
        case "date-time":
            return f"2027-{chance.randint(1, 12):02}-{chance.randint(1, 28):02}T{chance.randint(0, 23):02}:30:00-07:00"
        case "email":
            return f"{''.join(chance.choices(string.ascii_letters, k=5))}@example.org"
    if "pattern" in schema:
        return chance.choice(_examples(schema["pattern"]))
    least = schema.get("minLength", 0)
    return str(("x" * least + text(chance))[: schema.get("maxLength", 1_000)])


@cache
def _examples(pattern: str) -> list[str]:
    """Some strings that match. Drawn once for each pattern, because drawing takes long."""
    found: list[str] = []

    @seed(1)
    @settings(max_examples=40, phases=[Phase.generate], database=None, deadline=None,
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(st.from_regex(pattern))
    def draw(value: str) -> None:
        found.append(value)

    draw()
    return found


def _number(chance: Random, schema: Mapping[str, Any]) -> float:
    lowest = schema.get("minimum", schema.get("exclusiveMinimum", -10))
    highest = schema.get("maximum", lowest + 200)
    if schema["type"] == "number":
        return chance.uniform(lowest, highest)
    return chance.choice((lowest, highest, chance.randint(lowest, highest)))
