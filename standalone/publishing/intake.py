"""The conversation with intake: one batch posted, repeated while intake is away, its answer sorted by line."""

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass

import httpx2

from standalone.commands.errors import AWAY, NO, WRONG, Failure
from standalone.publishing.lines import Bad, Line

BATCH = "application/cloudevents-batch+json"
PAUSES = (0.5, 1.0, 2.0, 4.0)
"""Seconds between tries while intake is away."""


class TooLarge(Exception):  # noqa: N818 - an answer: the same lines may go in two batches
    """Intake takes fewer events, or fewer bytes, at a time."""


@dataclass(frozen=True, slots=True)
class Intake:
    """Where events are posted. ``client`` carries the key."""

    client: httpx2.Client
    pauses: Sequence[float] = PAUSES

    def post(self, lines: Sequence[Line]) -> list[Bad]:
        """Post ``lines`` as one batch, all or nothing; what was refused, empty when all were accepted.

        Raises ``TooLarge``, ``Failure`` where trying other lines wouldn't help, and ``httpx2.TransportError``.
        """
        body = b"[" + b",".join(line.text for line in lines) + b"]"
        answer = self._answer(body)
        if answer.status_code == 202:
            return []
        if answer.status_code == 413:
            raise TooLarge
        problem = _json(answer)
        errors = problem.get("errors")
        bad = [bad for each in errors if (bad := _bad(lines, each))] if isinstance(errors, list) else []
        if answer.status_code in (400, 409, 422) and bad:
            return bad
        raise _failure(answer.status_code, str(problem.get("detail", "")))

    def _answer(self, body: bytes) -> httpx2.Response:
        """The same bytes are the same request: what was accepted before is answered, not taken twice."""
        headers = {"content-type": BATCH, "idempotency-key": f"upright-{hashlib.sha256(body).hexdigest()}"}
        for pause in (*self.pauses, None):
            try:
                answer = self.client.post("/v1/events", content=body, headers=headers)
            except httpx2.TransportError:
                if pause is None:
                    raise
            else:
                if answer.status_code < 500 or pause is None:
                    return answer
            time.sleep(pause)
        raise AssertionError("the last try returns or raises")


def _json(answer: httpx2.Response) -> dict[str, object]:
    try:
        found = json.loads(answer.content)
    except ValueError:
        found = None
    return found if isinstance(found, dict) else {}


def _bad(lines: Sequence[Line], error: dict[str, str]) -> Bad | None:
    """``#/3/data/start`` is the fourth line's; None for what is no line's."""
    index, slash, rest = error["pointer"].removeprefix("#/").partition("/")
    if not index.isdecimal() or int(index) >= len(lines):
        return None
    return Bad(lines[int(index)], slash + rest, error["detail"])


def _failure(status: int, detail: str) -> Failure:
    if status in (401, 403):
        return Failure(f"Intake doesn't let this key publish. {detail}", WRONG)
    if status >= 500:
        return Failure(f"Intake has trouble (status {status}). {detail}", AWAY)
    if status == 404:
        return Failure("There is no intake at this URL.", WRONG)
    return Failure(f"Intake refused the request (status {status}). {detail}", NO)
