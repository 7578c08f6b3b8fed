"""Errors over HTTP: RFC 9457 problem details. No problem ever repeats a value it was sent."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from fastapi import HTTPException
from starlette.responses import JSONResponse

MEDIA_TYPE = "application/problem+json"


@dataclass(frozen=True, slots=True)
class FieldError:
    """``pointer`` is a JSON Pointer into the body as a fragment (``#/start``), or ``query/limit``, ``header/…``."""

    pointer: str
    detail: str


class Problem(HTTPException):
    """Raise it anywhere in a request. ``code`` is stable and for machines, ``detail`` a constant text for people."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status, detail, dict(headers) if headers else None)
        self.code = code
        self.errors = errors


def response(problem: Problem) -> JSONResponse:
    """The problem on the wire."""
    body: dict[str, Any] = {
        "type": f"urn:upright:problem:{problem.code}",
        "title": HTTPStatus(problem.status_code).phrase,
        "status": problem.status_code,
        "detail": problem.detail,
    }
    if problem.errors:
        body["errors"] = [{"pointer": _whole(error.pointer), "detail": error.detail} for error in problem.errors]
    return JSONResponse(body, problem.status_code, problem.headers, MEDIA_TYPE)


# What pydantic puts into a message without it being the input: bounds, patterns, choices of the model.
_OF_THE_MODEL = re.compile(
    "[gl][te]|multiple_of|(min|max|actual)_length|field_type|pattern|expected(_tags|_schemes)?|discriminator"
    "|class(_name)?|max_digits|decimal_places|whole_digits|unit_name"
)


def field_errors(errors: Iterable[Mapping[str, Any]], within: Sequence[str | int] = ()) -> list[FieldError]:
    """From ``ValidationError.errors()``; ``within`` is where in the body the validated part stood."""
    return [FieldError(_pointer([*within, *error["loc"]]), _detail(error)) for error in errors]


def request_errors(errors: Iterable[Mapping[str, Any]]) -> list[FieldError]:
    """From FastAPI's ``RequestValidationError``, whose paths begin with where in the request it was."""
    found = []
    for error in errors:
        where, *path = error["loc"]
        pointer = _pointer(path) if where == "body" else "/".join([str(where), *map(str, path)])
        found.append(FieldError(pointer[:200], _detail(error)))
    return found


def _pointer(path: Sequence[str | int]) -> str:
    """RFC 6901. A name may be the sender's own, hence the bound."""
    steps = (str(step).replace("~", "~0").replace("/", "~1")[:100] for step in path)
    return "#" + "".join(f"/{step}" for step in steps)


def _whole(pointer: str) -> str:
    """JSON can name half a character (``"\\ud800"``), which no answer can carry."""
    return pointer.encode("utf-8", "replace").decode()


def _detail(error: Mapping[str, Any]) -> str:
    """Pydantic's text only where no part of it comes from the input."""
    context = error.get("ctx") or {}
    own = context.get("error")
    if error["type"] == "value_error" and isinstance(own, ValueError):
        return str(own)  # raised by a validator of ours, which never quotes
    if all(_OF_THE_MODEL.fullmatch(key) for key in context):
        return str(error["msg"])
    return _WITHOUT_INPUT.get(error["type"], "Is not valid")


_WITHOUT_INPUT = {
    "uuid_parsing": "Should be a UUID",
    "union_tag_invalid": "Is none of the expected tags",
    "datetime_parsing": "Should be a date and time with an offset",
    "datetime_from_date_parsing": "Should be a date and time with an offset",
    "date_from_datetime_parsing": "Should be a date",
    "date_parsing": "Should be a date",
    "time_parsing": "Should be a time",
    "json_invalid": "Isn't JSON",
    "value_error": "Is not valid; if it is an e-mail address, it isn't well formed",
}
