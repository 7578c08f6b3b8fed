"""What coordinators post of a trial, read strictly: a problem names the trial, the criterion and the field."""

import json
import re
from collections.abc import Sequence
from typing import Any, TypeVar

from pydantic import ValidationError

from chassis.problems import FieldError, Problem, field_errors
from schemas.base import Contract
from services.trials.drafts import CountPosted, DraftPosted

DEEPEST = 150
"""Levels of JSON: more than any tree that is allowed, and fewer than readers of JSON break at."""

P = TypeVar("P", bound=Contract)

_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[][{},:]')


def read_draft(trial: str, body: bytes) -> DraftPosted:
    """``Problem`` 400 or 422."""
    return _read(DraftPosted, trial, body)


def read_count(trial: str, body: bytes) -> CountPosted:
    """``Problem`` 400 or 422. An empty body asks for the draft."""
    return _read(CountPosted, trial, body) if body.strip() else CountPosted()


def _read(model: type[P], trial: str, body: bytes) -> P:
    if (deep := too_deep(body)) is not None:
        at = FieldError("#" + "".join(f"/{step}" for step in deep), "is nested too deeply")
        raise Problem(422, "invalid", f"{trial}: the draft was not taken.", errors=[at])
    try:
        return model.strict_json(body)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
    if any(each["type"] == "json_invalid" for each in found):
        raise Problem(400, "not_json", "The body isn't JSON.")
    errors = field_errors([{**each, "loc": _path(each["loc"])} for each in found])
    named = [FieldError(each.pointer, _naming(body, each)) for each in errors]
    raise Problem(422, "invalid", f"{trial}: the draft was not taken.", errors=named)


def too_deep(body: bytes) -> list[str | int] | None:
    """Where JSON goes deeper than ``DEEPEST``, as the path down to the expression; None if it doesn't."""
    steps: list[str | int] = []  # of each open object its present key, of each open list its present index
    last = ""
    for token in _TOKEN.finditer(body):
        said = token[0]
        if said in (b"{", b"["):
            steps.append("" if said == b"{" else 0)
            if len(steps) > DEEPEST:
                return steps[: steps.index("expression") + 1] if "expression" in steps else steps[:4]
        elif said in (b"}", b"]"):
            del steps[-1:]
        elif said == b"," and steps and isinstance(steps[-1], int):
            steps[-1] += 1
        elif said == b":" and steps and isinstance(steps[-1], str):
            steps[-1] = last
        elif said.startswith(b'"'):
            last = said[1:-1].decode("utf-8", "replace")
    return None


def _path(location: Sequence[str | int]) -> list[str | int]:
    """Without the names of models, which say which kind of node it was."""
    return [each for each in location if not (isinstance(each, str) and each[:1].isupper())]


def _naming(body: bytes, error: FieldError) -> str:
    """The detail, with the id of the criterion in which it stands before it."""
    part: Any = json.loads(body)
    name = None
    for step in error.pointer.removeprefix("#").split("/")[1:]:
        if isinstance(part, list):
            part = part[int(step)] if step.isdecimal() and int(step) < len(part) else None
        else:
            part = part.get(step) if isinstance(part, dict) else None
        name = part["id"][:63] if isinstance(part, dict) and isinstance(part.get("id"), str) else name
    return f"criterion {name}: {error.detail}" if name and not error.detail.startswith("criterion ") else error.detail
