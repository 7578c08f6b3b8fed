"""A request for forms as it would be after a change at the console."""

from dataclasses import replace
from datetime import datetime

from schemas.appointment import ItemStatus, PaperworkPosted
from services.notifier import domain
from services.notifier.domain import Truth
from services.notifier.posted.change import ADAPTER, Posted, UnknownSubject, put

_ASKS = frozenset({"paperwork.requested", "paperwork.reopened"})


def paperwork(truth: Truth, change: Posted, now: datetime) -> Truth:
    posted: PaperworkPosted = change.data
    before = next((each for each in truth.paperwork if each.paperwork_id == change.subject_id), None)
    if before is None and change.name != "paperwork.requested":
        raise UnknownSubject
    new = domain.Paperwork(
        paperwork_id=change.subject_id,
        program=posted.program,
        appointment_id=posted.appointment_id,
        items=tuple(domain.PaperworkItem(each.item_id, each.form, ItemStatus(each.status)) for each in posted.items),
        requested_at=now if before is None or change.name in _ASKS else before.requested_at,
        changed_at=now,
        recorded_at=now,
        adapter=ADAPTER,
    )
    return replace(truth, paperwork=put(truth.paperwork, new, lambda each: each.paperwork_id == change.subject_id))
