"""Trials and patients in the form of ``tests/data/csf-trials``, read into the project's vocabulary.

``ROWS`` is the one mapping table. A fact without a row is taken over under its own name in kebab-case, with the type of
its value; so other files of that form load too.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from schemas.criteria import Eligibility
from schemas.trials import RecruitmentStatus
from services.trials.facts.dates import months_after, years_after
from services.trials.facts.picture import Happening, Known, Picture
from services.trials.matching.verdict import TrialVerdict

FOLDER = Path(__file__).parent.parent / "data" / "csf-trials"
AS_OF = date(2027, 3, 16)

_OPS = {"is": "eq", "==": "eq", "<=": "le", "<": "lt", ">=": "ge", ">": "gt"}
_NODES = {"any": "any_of", "all": "all_of"}
_UNKNOWN = (None, "UNKNOWN", "CONFLICT")


@dataclass(frozen=True)
class Row:
    """``subject``: what an atom asks; ``facts``: what a value says of a patient; ``codes``: words of the fixture."""

    subject: Mapping[str, Any]
    facts: Callable[[Any, date], Mapping[str, Known]]
    codes: Mapping[str, str] | None = None
    unit: str | None = None


def _same(name: str, unit: str | None = None, codes: Mapping[str, str] | None = None) -> Row:
    return Row({"fact": name}, lambda value, as_of: {name: value}, codes, unit)


def _number_of(event: str, **fields: str) -> Row:
    """A count, which says of no event when it was."""
    where = [{"field": name, "op": "eq", "value": value} for name, value in fields.items()]
    selection = {"event": event} | ({"where": where[0]} if where else {})
    return Row({"count": selection}, lambda value, as_of: {event: (Happening(None, fields),) * int(value)})


def _days(derived: str, base: str) -> Row:
    def facts(value: Any, as_of: date) -> Mapping[str, Known]:
        return {base: as_of - timedelta(days=value), derived: value}

    return Row({"fact": derived}, facts, unit="d")


def _months(derived: str, base: str) -> Row:
    def facts(value: Any, as_of: date) -> Mapping[str, Known]:
        onset = months_after(as_of, -int(value))
        return {derived: value} | ({base: onset} if onset else {})

    return Row({"fact": derived}, facts, unit="mo")


def _age(value: Any, as_of: date) -> Mapping[str, Known]:
    birth = years_after(as_of, -int(value))
    return {"age": value, "age-in-months": int(value * 12)} | ({"birth-date": birth} if birth else {})


def _punctured(value: Any, as_of: date) -> Mapping[str, Known]:
    name = "days-since-dural-puncture"
    return {"dural-puncture": (Happening(as_of - timedelta(days=value)),), name: value}


ROWS: Mapping[str, Row] = {
    "age": Row({"fact": "age"}, _age, unit="a"),
    "dx": _same("diagnosis", codes={"SIH": "spontaneous", "PDPH": "post-dural-puncture"}),
    "ichd3_met": _same("ichd-3-met"),
    "explained_by_other_dx": _same("explained-by-other-diagnosis"),
    "leak_confirmed_imaging": _same("leak-confirmed-by-imaging"),
    "leak_type": _same("leak-type", codes={f"type{number}": f"type-{number}" for number in range(1, 5)}),
    "img_dsm": _same("digital-subtraction-myelography"),
    "img_ctm": _same("ct-myelography"),
    "orthostatic_onset_min": _same("orthostatic-onset", "min"),
    "opening_pressure_cmh2o": _same("opening-pressure", "cm[H2O]"),
    "temp_c": _same("body-temperature", "Cel"),
    "platelets_per_ul": _same("platelets", "/uL"),
    "ptt_s": _same("ptt", "s"),
    "creatinine_mg_dl": _same("creatinine", "mg/dL"),
    "bilirubin_mg_dl": _same("bilirubin", "mg/dL"),
    "steroid_weeks": _same("steroid-duration", "wk"),
    "distance_km": _same("distance", "km"),
    "headache_days": _days("days-since-headache-onset", "headache-onset"),
    "symptom_months": _months("months-since-symptom-onset", "symptom-onset"),
    "dural_breach_within_days": _days("days-since-dural-breach", "dural-breach"),
    "days_since_last_ebp": _days("days-since-last-blood-patch", "last-blood-patch"),
    "days_since_dural_puncture": Row({"fact": "days-since-dural-puncture"}, _punctured, unit="d"),
    "days_puncture_to_headache": _same("puncture-to-headache", "d"),
    "hours_delivery_to_headache": _same("delivery-to-headache", "h"),
    "conservative_days": _same("conservative-treatment-days", "d"),
    "conservative_failed": _same("conservative-treatment-failed"),
    "ebp_count": _number_of("blood-patch"),
    "spg_block_count": _number_of("nerve-block", block="sphenopalatine-ganglion"),
    "tve_count": _number_of("embolization"),
    "ebp_planned": _same("blood-patch-planned"),
    "ebp_failed": _same("blood-patch-failed"),
    "ebp_improved": _same("blood-patch-improved"),
    "ebp_contraindicated": _same("blood-patch-contraindicated"),
    "spine_dural_surgery_planned": _same("dural-surgery-planned"),
    "ctd_dx": _same("connective-tissue-disorder"),
    "hht": _same("hereditary-hemorrhagic-telangiectasia"),
    "recent_neuro_event": _same("recent-neurological-event"),
}


@dataclass(frozen=True)
class FixtureTrial:
    """A trial of the fixture, in the project's form."""

    id: str
    title: str
    status: RecruitmentStatus
    eligibility: Eligibility


def read_trials(path: Path = FOLDER / "trials.json") -> dict[str, FixtureTrial]:
    """By id."""
    return {each["nct"]: trial(each) for each in json.loads(path.read_text("utf-8"))}


def read_patients(path: Path = FOLDER / "patients.json", as_of: date = AS_OF) -> dict[str, Picture]:
    """What is known of each on ``as_of``, by id."""
    return {name: patient(each, as_of) for name, each in json.loads(path.read_text("utf-8")).items()}


def read_expected(path: Path = FOLDER / "expected.json") -> dict[tuple[str, str], dict[str, Any]]:
    """``result``, ``failed`` and ``unknown`` of each patient and trial."""
    found = json.loads(path.read_text("utf-8"))
    return {(who, which): each for who, trials in found.items() for which, each in trials.items()}


def in_fixture_form(found: TrialVerdict) -> dict[str, Any]:
    """As ``expected.json`` says it."""
    return {"result": found.verdict.upper(), "failed": list(found.failed), "unknown": list(found.unknown)}


def trial(record: Mapping[str, Any]) -> FixtureTrial:
    """An unknown status is closed."""
    status = str(record.get("status")).lower().replace("_", "-")
    known = status in {*RecruitmentStatus}
    sex = str(record.get("sex") or "ALL").lower()
    eligibility = {
        "minimum_age": record.get("min_age"),
        "maximum_age": record.get("max_age"),
        "sex": None if sex == "all" else sex,
        "criteria": [_criterion(each) for each in record.get("criteria", ())],
    }
    return FixtureTrial(
        record["nct"],
        record.get("title", record["nct"]),
        RecruitmentStatus(status) if known else RecruitmentStatus.UNKNOWN,
        Eligibility.strict_data(eligibility),
    )


def _criterion(record: Mapping[str, Any]) -> dict[str, Any]:
    written = {"id": record["id"], "kind": record["kind"], "text": record.get("text", "")}
    return written | ({"expression": expression(record["expr"])} if record.get("expr") else {})


def expression(expr: Mapping[str, Any]) -> dict[str, Any]:
    """In the project's language, as JSON."""
    for node, ours in _NODES.items():
        if node in expr:
            return {ours: [expression(each) for each in expr[node]]}
    if "not" in expr:
        return {"not": expression(expr["not"])}
    for node in ("at_least", "at_most"):
        if node in expr:
            return {node: expr[node], "of": [expression(each) for each in expr["of"]]}
    return _atom(expr["fact"], expr["op"], expr.get("value"))


def _atom(fact: str, op: str, value: Any) -> dict[str, Any]:
    row = ROWS.get(fact) or _same(_code(fact))
    ours = _words(value, row)
    unit = {"unit": row.unit} if row.unit else {}
    if op == "!=":
        return {"not": {**row.subject, "op": "eq", "value": ours, **unit}}
    if op == "has":
        return {**row.subject, "op": "has_any", "value": ours if isinstance(ours, list) else [ours]}
    return {**row.subject, "op": _OPS.get(op, op), "value": ours, **unit}


def patient(facts: Mapping[str, Any], as_of: date = AS_OF) -> Picture:
    """An absent fact, ``null``, ``UNKNOWN`` and ``CONFLICT`` are unknown."""
    values: dict[str, Known] = {}
    for name, value in facts.items():
        if isinstance(value, list) or value not in _UNKNOWN:
            row = ROWS.get(name) or _same(_code(name))
            ours = _words(value, row)
            values |= row.facts(frozenset(ours) if isinstance(ours, list) else ours, as_of)
    return Picture(as_of, values)


def _words(value: Any, row: Row) -> Any:
    if isinstance(value, list):
        return [_words(each, row) for each in value]
    if isinstance(value, str):
        return (row.codes or {}).get(value) or _code(value)
    return value


def _code(name: str) -> str:
    return name.lower().replace("_", "-")
