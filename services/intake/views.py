"""What staff are shown: JSON made of records, events, deliveries and worklist rows. It holds protected values."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Row

from chassis.scope import Scope
from chassis.sealing import DataKey, Keyring
from schemas.outcomes import DeliveryView
from services.intake import words
from services.intake.domain.record import Patient, Record, State
from services.intake.store.sealed import open_event
from services.intake.store.worklist import open_note

_PLURALS = {"paperwork": "paperwork", "facts": "facts"}


def patient(record: Record, scope: Scope) -> dict[str, Any]:
    """The patient and every subject the scope may see, by family."""
    mine = record.patient
    shown: dict[str, Any] = {"patient": _plain(mine) if mine else None}
    for state in record.subjects.values():
        if not isinstance(state, Patient) and scope.allows(state.program):
            shown.setdefault(_PLURALS.get(state.family, f"{state.family}s"), []).append(_plain(state))
    return shown


def _plain(state: State) -> dict[str, Any]:
    plain: dict[str, Any] = TypeAdapter(type(state)).dump_python(state, mode="json")
    return plain


def event(row: Row[Any], key: DataKey | None, tenant: str) -> dict[str, Any]:
    """One accepted event. What was sealed under a key that is gone is absent."""
    shown = {
        "entry": "event", "at": row.recorded_at, "type": row.name, "what": words.EVENTS.get(row.name, row.name),
        "subject": row.subject, "version": row.version, "program": row.program, "by": row.recorded_by,
        "adapter": row.adapter, "event_id": row.event_id, "happened_at": row.time.isoformat(),
    }  # fmt: skip
    if key is None or row.state is None:
        return shown
    kept, state = open_event(key, tenant, row.subject, row.version, row.state)
    return shown | {"reason": kept.reason, "state": _plain(state)}


def delivery(view: DeliveryView) -> dict[str, Any]:
    """One delivery, past or future: when, what became of it, why, and what to do."""
    said = words.delivery(view.state, view.reason)
    return {
        "entry": "delivery", "at": view.at or view.due_at, "what": words.KINDS.get(view.kind, "A message"),
        "status": said.what, "todo": said.todo, **view.model_dump(mode="json", exclude={"at"}),
    }  # fmt: skip


def worklist_entry(row: Row[Any], master: Keyring) -> dict[str, Any]:
    """A worklist item on the timeline."""
    return {"entry": "worklist", "at": row.due_at or row.opened_at, **worklist_item(row, master)}


def worklist_item(row: Row[Any], master: Keyring) -> dict[str, Any]:
    """One item, in words."""
    said = words.worklist(row.code)
    ids = ("item_id", "code", "patient_id", "program", "appointment_id", "paperwork_id", "delivery_id", "closed_by")
    times = ("opened_at", "due_at", "closed_at")
    return (
        {name: getattr(row, name) for name in ids}
        | {name: _iso(getattr(row, name)) for name in times}
        | {"what": said.what, "todo": said.todo, "note": open_note(row, master)}
    )


def timeline(patient_id: str, entries: Iterable[dict[str, Any]], now: datetime) -> dict[str, Any]:
    """Past and future in one list, oldest first; ``now`` says where the future begins."""
    ordered = sorted(entries, key=lambda entry: entry["at"])
    shown = [entry | {"at": entry["at"].isoformat(), "future": entry["at"] > now} for entry in ordered]
    return {"patient_id": patient_id, "now": now.isoformat(), "entries": shown}


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
