"""A preview as staff read it: mails with their content, what is left out or called off and why, and what is to do."""

from collections.abc import Iterator, Set
from typing import Any

from schemas import words as codes
from schemas.outcomes import DeliveryState
from services.notifier import words
from services.notifier.domain import Delivery, Reason, Task, Wanted
from services.notifier.explain import at
from services.notifier.grouping import Bundle
from services.notifier.guard import Go, Moment, guard
from services.notifier.preview import Preview, bundles, content, filled

S = DeliveryState


def shown(preview: Preview, allowed: Set[str]) -> dict[str, Any]:
    """The preview as JSON, of programs in ``allowed``. It holds mails' text: protected.

    ``armed`` is whether anything goes out at all; before that it is shown what would, if it were armed now.
    """
    tasks = [each for each in preview.made.tasks if each.program in allowed]
    return {
        "patient_id": preview.truth.patient_id,
        "now": preview.now.isoformat(),
        "armed": preview.armed,
        "mails": [_mail(preview, bundle) for bundle in bundles(preview) if bundle.deliveries[0].program in allowed],
        "skipped": [each for each in sorted(_skipped(preview), key=_when) if each["program"] in allowed],
        "cancelled": [each for each in sorted(_cancelled(preview), key=_when) if each["program"] in allowed],
        "tasks": [_task(each) for each in tasks],
    }


def _mail(preview: Preview, bundle: Bundle) -> dict[str, Any]:
    first = bundle.deliveries[0]
    wanted = preview.wanted[first.dedup_key]
    original = preview.programs[first.program]
    seen = preview.seen
    moment = Moment(max(first.due_at, preview.now), seen.sent, suppressed=seen.suppressed, trials=seen.trials)
    program = filled(original)
    verdicts = [guard(each, preview.truth, program, preview.ledger, moment) for each in bundle.deliveries]
    tiers = [each.tier for each in verdicts if isinstance(each, Go)]
    reasons = [Reason.PROGRAM_INCOMPLETE] if original.missing else []
    reasons += [each.reason for each in verdicts if not isinstance(each, Go)]
    made, problems = content(preview, bundle, program, min(tiers, default=0), wanted, moment.now)
    return {
        "kind": bundle.kind,
        "what": codes.KINDS[bundle.kind],
        "program": first.program,
        "due_at": first.due_at.isoformat(),
        "due_local": wanted.due_local,
        "zone": wanted.zone,
        "due": at(first.due_at, wanted.zone),
        "tier": min(tiers, default=None),
        "goes": not reasons and not problems,
        "reasons": [_reason(each) for each in dict.fromkeys([*reasons, *problems])],
        "deliveries": [_line(preview, each) for each in bundle.deliveries],
        "content": made,
    }


def _line(preview: Preview, delivery: Delivery) -> dict[str, Any]:
    row, wanted = preview.rows.get(delivery.dedup_key), preview.wanted[delivery.dedup_key]
    return {
        "kind": delivery.kind,
        "step": delivery.step,
        "appointment_id": delivery.appointment_id,
        "paperwork_id": delivery.paperwork_id,
        "rule": wanted.rule,
        "words": words.rule(wanted.rule, preview.programs[delivery.program].policy.hour),
        "change": _change(preview, row),
        "due_before": row.due_at.isoformat() if row else None,
    }


def _change(preview: Preview, row: Delivery | None) -> str:
    if row is None:
        return "new"
    if row.delivery_id in {each.delivery_id for each in preview.changes.reopen}:
        return "again" if row.state is not S.HELD else "unchanged"
    return "moved" if row.delivery_id in {each.delivery_id for each in preview.changes.move} else "unchanged"


def _skipped(preview: Preview) -> Iterator[dict[str, Any]]:
    for each in preview.changes.end:
        yield _gone(each.wanted, each.reason, each.wanted.zone)


def _cancelled(preview: Preview) -> Iterator[dict[str, Any]]:
    rows = {each.delivery_id: each for each in preview.rows.values()}
    for each in (*preview.changes.cancel, *preview.changes.request_cancel):
        row = rows[each.delivery_id]
        yield _gone(row, each.reason, preview.programs[row.program].zone if row.program in preview.programs else "UTC")


def _when(gone: dict[str, Any]) -> tuple[str, str]:
    return gone["due_at"], gone["kind"]


def _gone(what: Wanted | Delivery, reason: Reason, zone: str) -> dict[str, Any]:
    return {
        "kind": what.kind, "what": codes.KINDS[what.kind], "program": what.program, "step": what.step,
        "appointment_id": what.appointment_id, "paperwork_id": what.paperwork_id,
        "due_at": what.due_at.isoformat(), "due": at(what.due_at, zone), **_reason(reason),
    }  # fmt: skip


def _reason(reason: Reason) -> dict[str, Any]:
    said = codes.REASONS[reason]
    return {"reason": reason, "words": said.what, "todo": said.todo}


def _task(task: Task) -> dict[str, Any]:
    said = codes.worklist(task.code)
    return {
        "code": task.code, "program": task.program, "urgency": task.urgency, "due_at": task.due_at.isoformat(),
        "words": said.what, "todo": said.todo,
    }  # fmt: skip
