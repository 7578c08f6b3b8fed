"""Text from outside that nests too deeply is refused before a parser recurses into it."""

import json
import re
from typing import Any

MAX_LEVELS = 100

_JSON = re.compile(r'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)|[\[\]{}]', re.DOTALL)  # a string without end is one to the end
_ID = re.compile(r"""(?:^|[\s{,-])["']?id["']?\s*:\s*["']?([A-Za-z0-9][A-Za-z0-9-]{0,62})""", re.MULTILINE)


class TooDeepError(ValueError):
    """More levels than anybody means. ``line`` counts from 1."""

    def __init__(self, line: int, named: str | None) -> None:
        super().__init__(f"{f'{named}: ' if named else ''}has more than {MAX_LEVELS} levels")
        self.line = line


def loads(text: str) -> Any:
    """JSON; ``TooDeepError`` names the ``id`` written last before the place, ``ValueError`` says what else is wrong."""
    level = 0
    for token in _JSON.finditer(text):
        level += {"{": 1, "[": 1, "}": -1, "]": -1}.get(token[0], 0)
        if level > MAX_LEVELS:
            raise too_deep(text, token.start())
    return json.loads(text)


def too_deep(text: str, position: int) -> TooDeepError:
    """The problem at ``position``."""
    before = text[:position]
    return TooDeepError(before.count("\n") + 1, next(reversed(_ID.findall(before)), None))
