"""The conversation with trials: records in batches, criteria files one by one, each with its line of the report."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from typing import Any

import httpx2

from schemas.criteria import Eligibility
from schemas.trial_files import TrialFile, load_trial_file
from schemas.yaml_files import ProgramFilesError
from standalone.commands.http import content
from standalone.importing.reading import Record

MOST = 200
MOST_BYTES = 4 * 1024 * 1024
"""Of one request. Where trials take less, they say so, and the batch is halved."""


@dataclass(frozen=True, slots=True)
class Line:
    """What became of one record or criteria file. ``notes`` are for a person to look at."""

    name: str
    outcome: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Desk:
    """Where records are sent. ``client`` carries the key."""

    client: httpx2.Client

    def send(self, records: Iterable[Record]) -> Iterator[Line]:
        """Each batch is taken whole, or not at all when trials fail half way. ``Failure``, ``TransportError``."""
        for batch in _batches(records):
            yield from self._send(batch)

    def _send(self, batch: Sequence[tuple[Record, bytes]]) -> Iterator[Line]:
        body = b'{"studies":[' + b",".join(text for _, text in batch) + b"]}"
        answer = self.client.post("/v1/trials/import", content=body, headers={"content-type": "application/json"})
        if answer.status_code == 413:
            half = len(batch) // 2
            if not half:
                yield Line(batch[0][0].place, "refused", ("is larger than trials take",))
                return
            yield from self._send(batch[:half])
            yield from self._send(batch[half:])
            return
        lines = content(answer)["lines"]
        yield from (_line(each, record) for each, (record, _) in zip(lines, batch, strict=True))

    def send_criteria(self, file: Traversable) -> Line:
        """Make one criteria file the draft of its trial. What it leaves out of ages and sex is the record's."""
        try:
            trial = load_trial_file(file)
        except ProgramFilesError as error:
            return Line(file.name, "refused", tuple(map(str, error.problems)))
        found = self.client.get(f"/v1/trials/{trial.trial}")
        before = None if found.status_code == 404 else content(found)
        body: dict[str, Any] = {"eligibility": _eligibility(trial, before).model_dump(mode="json", exclude_none=True)}
        body |= {"title": trial.title} if trial.title else {}
        body |= {"status": trial.status} if trial.status else {}
        answer = self.client.put(f"/v1/trials/{trial.trial}/draft", json=body)
        if answer.status_code in (404, 409, 422):
            return Line(trial.trial, "refused", tuple(_reasons(answer)))
        after = content(answer)
        same = before is not None and before["draft"] == after["draft"]
        outcome = "same" if same else "new" if before is None else "changed"
        return Line(
            trial.trial, outcome, tuple(f"criterion {p['criterion']}: {p['reason']}" for p in after["problems"])
        )


def _eligibility(trial: TrialFile, before: dict[str, Any] | None) -> Eligibility:
    said = trial.eligibility()
    if before is None:
        return said
    names = ("minimum_age", "maximum_age", "sex")
    stored = Eligibility.tolerant_json(json.dumps(before["draft"]["eligibility"]))
    if any(getattr(said, name) is not None for name in names):
        return said
    return said.model_copy(update={name: getattr(stored, name) for name in names})


def _batches(records: Iterable[Record]) -> Iterator[list[tuple[Record, bytes]]]:
    batch: list[tuple[Record, bytes]] = []
    size = 0
    for record in records:
        text = json.dumps(record.content, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
        if batch and (len(batch) == MOST or size + len(text) > MOST_BYTES):
            yield batch
            batch, size = [], 0
        batch.append((record, text))
        size += len(text)
    if batch:
        yield batch


def _line(said: dict[str, Any], record: Record) -> Line:
    """A record without an id is named by its place in the file and not in the batch."""
    name, reason = said["registry_id"] or record.place, said["reason"] or ""
    if said["registry_id"] is None:
        reason = reason.partition(": ")[2] or reason
    told = reason.removeprefix(f"{name}: ")
    return Line(name, said["outcome"], (*((told,) if told else ()), *said["warnings"]))


def _reasons(answer: httpx2.Response) -> list[str]:
    said = answer.json()
    return [f"{each['pointer']}: {each['detail']}" for each in said.get("errors", ())] or [said["detail"]]
