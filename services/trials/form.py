"""The draft as a form of the coordinators' page: the fields of each criterion, and what is posted of them. Pure."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from pydantic import ValidationError

from schemas.criteria import AgeLimit, Criterion, Eligibility, Kind, Status
from schemas.trials import Approval, TrialState
from services.trials.drafts import DraftPosted

MOST_FIELDS = 10_000


class FormError(Exception):
    """What can't be read; ``said`` names each criterion or field, for the coordinator."""

    def __init__(self, said: list[str]) -> None:
        super().__init__("; ".join(said))
        self.said = said


@dataclass(frozen=True, slots=True)
class Posted:
    """The fields of a form; of one that stands several times, all."""

    fields: Mapping[str, list[str]]

    @classmethod
    def of(cls, body: bytes) -> "Posted":
        """``FormError`` for what no form posts."""
        try:
            return cls(parse_qs(body.decode(), keep_blank_values=True, max_num_fields=MOST_FIELDS))
        except ValueError:
            raise FormError(["the form can't be read"]) from None

    def text(self, name: str) -> str:
        return self.fields.get(name, [""])[0].strip()

    def __contains__(self, name: str) -> bool:
        return name in self.fields


def expression_text(criterion: Criterion) -> str:
    """As it stands in its field."""
    if criterion.expression is None:
        return ""
    return json.dumps(criterion.expression.model_dump(mode="json", by_alias=True, exclude_none=True), indent=1)


def read_form(posted: Posted, draft: TrialState) -> DraftPosted:
    """The draft with what the form changed; what isn't in the form stays. ``FormError`` names every problem."""
    said: list[str] = []
    number = iter(range(MOST_FIELDS))
    shared = [_criterion(posted, next(number), each, said) for each in draft.eligibility.criteria]
    cohorts = [
        {
            **each.model_dump(mode="json"),
            "criteria": [_criterion(posted, next(number), one, said) for one in each.criteria],
        }
        for each in draft.eligibility.cohorts
    ]
    shared += _added(posted, draft.eligibility, said)
    ages = {name: _age(posted, name, said) for name in ("minimum_age", "maximum_age")}
    approvals = [_approval(posted, at, each) for at, each in enumerate(draft.approvals)] + _new_approval(posted)
    whole = {
        "eligibility": {**ages, "sex": posted.text("sex") or None, "criteria": shared, "cohorts": cohorts},
        "programs": posted.fields.get("program", []) if "programs" in posted else list(draft.programs),
        "approvals": approvals,
    }
    if said:
        raise FormError(said)
    try:
        return DraftPosted.strict_json(json.dumps(whole))
    except ValidationError as error:
        raise FormError(_reasons(error, whole)) from None


def _criterion(posted: Posted, number: int, old: Criterion, said: list[str]) -> dict[str, Any]:
    expression = _expression(posted.text(f"x{number}"), old.id, said)
    before = json.loads(expression_text(old) or "null")
    status = old.status if expression == before else Status.MANUAL if expression else Status.UNPARSED
    return {
        "id": old.id, "kind": old.kind, "text": old.text, "expression": expression, "status": status,
        "anchor": f"a{number}" in posted, "waivable": f"w{number}" in posted,
    }  # fmt: skip


def _expression(text: str, name: str, said: list[str]) -> Any:
    if not text:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        said.append(f"criterion {name}: what is asked isn't JSON, or is nested too deeply")
        return None


def _added(posted: Posted, eligibility: Eligibility, said: list[str]) -> list[dict[str, Any]]:
    text, asked = posted.text("new_text"), posted.text("new_expression")
    if not text and not asked:
        return []
    kind = Kind.EXCLUSION if posted.text("new_kind") == Kind.EXCLUSION else Kind.INCLUSION
    taken = {each.id for each in eligibility.every()}
    name = next(each for at in range(1, MOST_FIELDS) if (each := f"{kind[0]}{at}") not in taken)
    expression = _expression(asked, name, said)
    return [{"id": name, "kind": kind, "text": text, "expression": expression}]


def _age(posted: Posted, name: str, said: list[str]) -> Any:
    if not (text := posted.text(name)):
        return None
    try:
        return AgeLimit.model_validate(text).model_dump(mode="json")
    except ValidationError:
        said.append(f"{name.replace('_', ' ')}: is no age such as '18 Years'")
        return None


def _approval(posted: Posted, at: int, old: Approval) -> dict[str, Any]:
    """The words of an approval never change; how long and whether it stands may."""
    changed = {name: posted.text(f"ap{at}_{name}") for name in ("status", "valid_until")}
    return old.model_dump(mode="json") | {name: value for name, value in changed.items() if value}


def _new_approval(posted: Posted) -> list[dict[str, Any]]:
    names = ("approval_id", "text_version", "language", "valid_until", "text", "voluntary", "contact")
    told = {name: value for name in names if (value := posted.text(f"ap_{name}"))}
    return [{"status": "active", **told}] if set(told) - {"language"} else []


def _reasons(error: ValidationError, whole: dict[str, Any]) -> list[str]:
    return [_reason(each["loc"], each["msg"].removeprefix("Value error, "), whole) for each in error.errors()]


def _reason(location: tuple[int | str, ...], message: str, whole: Any) -> str:
    """Named by the criterion in which it stands; else by the field."""
    part, name = whole, None
    for step in location:
        if isinstance(part, list) and isinstance(step, int) and step < len(part):
            part = part[step]
        else:
            part = part.get(step) if isinstance(part, dict) else None
        name = part["id"] if isinstance(part, dict) and "id" in part else name
    if name is None:
        return f"{'.'.join(str(each) for each in location)}: {message}"
    return message if message.startswith("criterion ") else f"criterion {name}: {location[-1]}: {message}"
