"""Good documents made bad: some of their values replaced or left out, some of their bytes changed."""

import copy
from collections.abc import Iterator
from random import Random
from typing import Any

from tests.fuzz.shapes import anything

Path = tuple[str | int, ...]

RAW = (
    b"", b"[" * 100_000, b'{"a":' * 50_000, b"\xef\xbb\xbf{}", b"\xff\xfe{\x00}\x00", b"null", b'"\\ud800"',
    b"1" * 6_000, b'{"a":1,"a":2}', b"NaN", b"-Infinity", b"\x1f\x8b\x08\x00", b"key=%00%ff&key=x&=", b"\n\n{}\n[]\n",
    b"x" * 70_000,
)  # fmt: skip


def spoilt(chance: Random, document: Any) -> Any:
    """``document`` with up to three of its values changed or gone."""
    made = copy.deepcopy(document)
    for _ in range(chance.randrange(4)):
        *outer, last = chance.choice([path for path in _places(made) if path] or [("",)])
        node = made
        for step in outer:
            node = node[step]
        if chance.random() < 0.3 and node:
            node.pop(last)
        else:
            node[last] = anything(chance)
    return made


def _places(node: Any, at: Path = ()) -> Iterator[Path]:
    yield at
    if isinstance(node, dict | list):
        for step, value in node.items() if isinstance(node, dict) else enumerate(node):
            yield from _places(value, (*at, step))


def cut(chance: Random, raw: bytes) -> bytes:
    """``raw`` with a few bytes replaced, doubled or cut off."""
    at = chance.randrange(len(raw) + 1)
    match chance.randrange(4):
        case 0:
            return raw[:at]
        case 1:
            return raw[:at] + raw[at // 2 :]
        case _:
            new = chance.randbytes(chance.randint(1, 4))
            return raw[:at] + new + raw[at + len(new) :]


def raw_body(chance: Random) -> bytes:
    """Bytes that are no document."""
    return chance.choice(RAW) if chance.random() < 0.7 else chance.randbytes(chance.randrange(60))
