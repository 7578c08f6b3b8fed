"""What a new version of the programs would do to mail: looked at before it is applied. Reads, never writes."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from chassis.sealing import Keyring
from chassis.store import Store
from schemas.programs import Program
from services.notifier.difference import Changes, difference
from services.notifier.domain import Ledger, Reason, Truth, Wanted
from services.notifier.plan import plan
from services.notifier.store.ledger import load_ledgers
from services.notifier.store.patients import list_patients, read_patients
from services.notifier.store.subjects import load_truths

PAGE = 200
EXAMPLES = 20


@dataclass(frozen=True, slots=True)
class MailChange:
    """One mail that new programs would add, move, call off or leave out. ``due_at`` None: it has no new time."""

    patient_id: str
    what: str
    kind: str
    program: str
    step: str | None
    rule: str
    due_before: datetime | None
    due_at: datetime | None
    reason: Reason | None = None


@dataclass(frozen=True, slots=True)
class MailDifference:
    """What would change in all. ``counts`` by (what, kind); ``examples`` are the first few."""

    patients: int
    patients_changed: int
    counts: Mapping[tuple[str, str], int]
    examples: tuple[MailChange, ...]


async def difference_in_mails(
    store: Store,
    master: Keyring,
    before: Mapping[str, Program],
    new: Mapping[str, Program],
    now: datetime,
    *,
    patient_id: str | None = None,
    examples: int = EXAMPLES,
    page: int = PAGE,
) -> MailDifference:
    """What would be added, moved, called off or skipped if ``new`` took the place of ``before`` at civil time ``now``.

    For one patient, or for all of the tenants of ``new``.
    Patients are read page by page, so a busy store gives the picture of no single moment.
    """
    counts: Counter[tuple[str, str]] = Counter()
    kept: list[MailChange] = []
    tenants = {each.tenant for each in new.values()}
    seen, changed, after = 0, 0, ("", "")
    while True:
        async with store.read() as connection:
            keys = await list_patients(connection, tenants, after, page, patient_id)
            locked = await read_patients(connection, keys, master)
            truths, ledgers = await load_truths(connection, locked.values()), await load_ledgers(connection, keys)
        for key in keys:
            found = _of_patient(truths[key], ledgers[key], before, {**before, **new}, now)
            counts.update((each.what, each.kind) for each in found)
            kept += found[: max(0, examples - len(kept))]
            changed += bool(found)
        seen += len(keys)
        if len(keys) < page:
            return MailDifference(seen, changed, dict(counts), tuple(kept))
        after = keys[-1]


def _of_patient(
    truth: Truth, ledger: Ledger, before: Mapping[str, Program], after: Mapping[str, Program], now: datetime
) -> list[MailChange]:
    """What the new programs change; what would change with the present ones too isn't theirs."""
    anyway = set(_changes(difference(plan(truth, before, ledger, now), ledger, now), truth, ledger))
    then = _changes(difference(plan(truth, after, ledger, now), ledger, now), truth, ledger)
    return [each for each in then if each not in anyway]


def _changes(changes: Changes, truth: Truth, ledger: Ledger) -> Iterator[MailChange]:
    rows = {each.delivery_id: each for each in ledger.deliveries}

    def of(what: str, wanted: Wanted, delivery_id: str | None = None, reason: Reason | None = None) -> MailChange:
        old = rows[delivery_id].due_at if delivery_id else None
        due = None if reason else wanted.due_at
        return MailChange(
            truth.patient_id, what, wanted.kind, wanted.program, wanted.step, wanted.rule, old, due, reason
        )

    yield from (of("added", each) for each in changes.insert)
    for move in changes.move:  # a moved end of usefulness alone is no change that anybody could see
        if (rows[move.delivery_id].due_at, rows[move.delivery_id].kind) != (move.wanted.due_at, move.wanted.kind):
            yield of("moved", move.wanted, move.delivery_id)
    yield from (of("added", each.wanted, each.delivery_id) for each in changes.reopen)
    yield from (of("skipped", each.wanted, each.delivery_id, each.reason) for each in changes.end)
    for each in (*changes.cancel, *changes.request_cancel):
        row = rows[each.delivery_id]
        yield MailChange(
            truth.patient_id, "cancelled", row.kind, row.program, row.step, "", row.due_at, None, each.reason
        )
