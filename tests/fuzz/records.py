"""Records for a consumer: the golden examples, nearly. Blocks are opened, spoilt and sealed again with the same key."""

import json
from collections.abc import Mapping, Sequence
from functools import cache
from random import Random
from typing import Any
from uuid import UUID

from aiokafka import ConsumerRecord

from chassis.sealing import DataKey, _associated, _to_text
from schemas.blocks import blocks_of
from schemas.registry import BY_WIRE, family_of
from standalone.contracts.__main__ import ROOT
from standalone.contracts.examples import KEY, KEY_ID
from tests.fuzz.shapes import NASTY, anything, text
from tests.fuzz.spoiling import cut, raw_body, spoilt

Header = tuple[str, bytes | None]
_IV_BYTES = 12


@cache
def examples(names: frozenset[str]) -> Sequence[Mapping[str, Any]]:
    """The golden examples of these events."""
    found = [json.loads(each.read_text()) for each in sorted((ROOT / "examples").rglob("*.json"))]
    return [each for each in found if family_of(each["headers"]["ce_type"]) in names]


def golden(topic: str, offset: int, example: Mapping[str, Any]) -> ConsumerRecord[bytes, bytes]:
    """The example as it stands."""
    headers = [(name, said.encode()) for name, said in example["headers"].items()]
    return _record(topic, offset, _key(example), headers, json.dumps(example["data"]).encode())


def spoilt_record(chance: Random, topic: str, offset: int, names: frozenset[str]) -> ConsumerRecord[bytes, bytes]:
    """One of these events: some about somebody else only, most with something wrong."""
    example = _renumbered(chance, chance.choice(examples(names)))
    key, headers = _key(example), [(name, said.encode()) for name, said in example["headers"].items()]
    value: bytes | None = _data(chance, example)
    match chance.randrange(8):
        case 0:
            value = None if chance.random() < 0.2 else raw_body(chance)
        case 1:
            value = cut(chance, value or b"")
        case 2 | 3:
            headers = _headers(chance, headers)
        case 4 if chance.random() < 0.3:
            key = chance.choice((None, b"", b"\xff\xfe", b"\x00", b"x" * 300, text(chance).encode("utf-8", "replace")))
    return _record(topic, offset, key, headers, value)


def _renumbered(chance: Random, example: Mapping[str, Any]) -> dict[str, Any]:
    """About one of twenty people, at any version, so that later ones meet earlier ones."""
    patient = str(UUID(int=chance.randrange(20), version=4))
    raw = json.dumps(example)
    if own := example["data"].get("patient_id"):
        raw = raw.replace(own, patient)
    made: dict[str, Any] = json.loads(raw)
    if "version" in made["data"]:
        made["data"]["version"] = chance.choice((1, 2, 3, 50, 2**31, 2**63))
    _seal_again(chance, made)
    return made


def _seal_again(chance: Random, made: dict[str, Any]) -> None:
    """The subject may be another now, and a seal holds for one alone."""
    said = made["headers"]
    for name, model in blocks_of(BY_WIRE[said["ce_type"]].data).items():
        if made["data"].get(name) is None or name not in made.get("opened", {}):
            continue
        block = made["opened"][name]
        plain = json.dumps(spoilt(chance, block) if chance.random() < 0.4 else block).encode()
        plain = cut(chance, plain) if chance.random() < 0.05 else plain
        associated = _associated(model.model, said.get("ce_tenant", ""), said.get("ce_subject", ""))
        sealed = DataKey(KEY).seal_bytes(plain, associated)
        parts = {"iv": _to_text(sealed[:_IV_BYTES]), "ciphertext": _to_text(sealed[_IV_BYTES:])}
        made["data"][name] = {**made["data"][name], "kid": KEY_ID, **parts}


def _data(chance: Random, example: Mapping[str, Any]) -> bytes:
    return json.dumps(spoilt(chance, example["data"]) if chance.random() < 0.5 else example["data"]).encode()


def _headers(chance: Random, headers: list[tuple[str, bytes]]) -> list[Header]:
    made: list[Header] = list(headers)
    for _ in range(chance.randint(1, 2)):
        at = chance.randrange(len(made))
        name, said = made[at]
        match chance.randrange(5):
            case 0:
                del made[at]
            case 1:
                made.append((name, said))
            case 2:
                made[at] = (name, chance.choice((None, b"", b"\xff", chance.randbytes(9))))
            case 3:
                made[at] = (name, str(chance.choice(NASTY)).encode("utf-8", "replace"))
            case _:
                made.append((text(chance, 12), str(anything(chance)).encode("utf-8", "replace")))
    return made


def _key(example: Mapping[str, Any]) -> bytes | None:
    return example["headers"]["ce_partitionkey"].encode() if example["key"] else None


def _record(
    topic: str, offset: int, key: bytes | None, headers: Sequence[Header], value: bytes | None
) -> ConsumerRecord[bytes, bytes]:
    return ConsumerRecord(topic, 0, offset, 1_772_000_000_000, 0, key, value, None, -1, -1, tuple(headers))
