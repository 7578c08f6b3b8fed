"""Requests for forms: every item, every time; the event's type says what may happen to an item.

==========  ==================================  ===========================
event       items that change                   to
==========  ==================================  ===========================
requested   new ones                            requested
received    requested, waived                   received
waived      requested                           waived
reopened    received, waived                    requested
==========  ==================================  ===========================
"""

from collections.abc import Mapping
from datetime import datetime

from schemas.appointment import ItemStatus, PaperworkItemPosted, PaperworkPosted
from services.intake.domain.appointments import HELD, OPEN
from services.intake.domain.checks import enrolled, in_force, in_order, program_is_known
from services.intake.domain.commands import Command, Context, posted_as
from services.intake.domain.record import Appointment, Item, Paperwork, Record
from services.intake.domain.refusals import Problem, refuse, refuse_all

_S = ItemStatus
MOVES: Mapping[str, tuple[frozenset[ItemStatus], ItemStatus]] = {
    "paperwork.received": (frozenset({_S.REQUESTED, _S.WAIVED}), _S.RECEIVED),
    "paperwork.waived": (frozenset({_S.REQUESTED}), _S.WAIVED),
    "paperwork.reopened": (frozenset({_S.RECEIVED, _S.WAIVED}), _S.REQUESTED),
}
ASKS = frozenset({"paperwork.requested", "paperwork.reopened"})


def decide_paperwork(record: Record, command: Command, context: Context) -> Paperwork:
    """The request after the command; ``Refused``."""
    posted: PaperworkPosted = posted_as(PaperworkPosted, command)
    before = record.find(Paperwork, command.subject_id)
    refuse_all([program_is_known(posted.program, context), *_fixed(before, posted), *_twice(posted)])
    if before is None and command.name != "paperwork.requested":
        raise refuse("/subject", "these forms were never requested; send paperwork.requested first")
    if command.name in ASKS:
        refuse_all([in_force(record), enrolled(record, posted.program), in_order(record, command)])
        refuse_all([_visit_can_take_forms(record, posted)])
    refuse_all(_items(before, posted, command, context))
    at = context.at(command)
    return _after(before, posted, command, at)


def _after(before: Paperwork | None, posted: PaperworkPosted, command: Command, at: datetime) -> Paperwork:
    return Paperwork(
        command.subject_id,
        before.version + 1 if before else 1,
        posted.program,
        posted.appointment_id,
        tuple(Item(each.item_id, each.form, ItemStatus(each.status)) for each in posted.items),
        requested_at=at if before is None or command.name in ASKS else before.requested_at,
        changed_at=at,
    )


def _fixed(before: Paperwork | None, posted: PaperworkPosted) -> list[Problem]:
    problems = []
    if before is not None and before.program != posted.program:
        problems.append(Problem("/data/program", "the request is in another program"))
    if before is not None and before.appointment_id != posted.appointment_id:
        problems.append(Problem("/data/appointment_id", "a request can't be moved to another visit"))
    return problems


def _twice(posted: PaperworkPosted) -> list[Problem]:
    ids, forms, problems = set(), set(), []
    for index, item in enumerate(posted.items):
        if item.item_id in ids:
            problems.append(Problem(f"/data/items/{index}/item_id", "stands there twice"))
        if item.form in forms:
            problems.append(Problem(f"/data/items/{index}/form", "is asked for twice in one request"))
        ids.add(item.item_id)
        forms.add(item.form)
    return problems


def _visit_can_take_forms(record: Record, posted: PaperworkPosted) -> Problem | None:
    if posted.appointment_id is None:
        return None
    visit = record.find(Appointment, posted.appointment_id)
    if visit is None:
        return Problem("/data/appointment_id", "is not a visit of this patient")
    if visit.program != posted.program:
        return Problem("/data/appointment_id", "is a visit in another program")
    if visit.status not in OPEN | HELD:
        return Problem("/data/appointment_id", "is a visit that is over or cancelled")
    return None


def _items(before: Paperwork | None, posted: PaperworkPosted, command: Command, context: Context) -> list[Problem]:
    known = {item.item_id: item for item in before.items} if before else {}
    program = context.programs[posted.program]
    problems = [
        Problem("/data/items", "every item, every time: one that was requested is missing")
        for item_id in known.keys() - {item.item_id for item in posted.items}
    ][:1]
    changes = 0
    for index, item in enumerate(posted.items):
        old = known.get(item.item_id)
        changes += old is None or old.status is not item.status
        found = _new(item, command, program.forms) if old is None else _changed(old, item, command)
        problems += [Problem(f"/data/items/{index}{problem.pointer}", problem.detail) for problem in found]
    if not problems and not changes:
        problems.append(Problem("/data/items", "nothing changes"))
    return problems


def _new(item: PaperworkItemPosted, command: Command, forms: Mapping[str, str]) -> list[Problem]:
    if command.name != "paperwork.requested":
        return [Problem("/item_id", "was never requested")]
    problems = []
    if item.form not in forms:
        problems.append(Problem("/form", "is not a form of the program"))
    if item.status is not _S.REQUESTED:
        problems.append(Problem("/status", "a form that is asked for begins as requested"))
    return problems


def _changed(old: Item, item: PaperworkItemPosted, command: Command) -> list[Problem]:
    if old.form != item.form:
        return [Problem("/form", "is not the form this item was requested for")]
    if old.status is item.status:
        return []
    sources, to = MOVES.get(command.name, (frozenset(), None))
    if old.status in sources and item.status is to:
        return []
    return [Problem("/status", f"{command.name} doesn't make {item.status} of {old.status}")]
