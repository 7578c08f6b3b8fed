"""What coordinators do with trials: import, draft, publish, release. Each is one transaction, held by the caller."""

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.outbox import put
from schemas.criteria import Criterion, Eligibility
from schemas.trials import TrialState
from services.trials.catalogue import is_open
from services.trials.publisher import Publisher
from services.trials.registry.records import Read, Refused
from services.trials.registry.report import Line, Outcome, compare
from services.trials.registry.trial import RegistryTrial
from services.trials.store.catalogue import (
    StoredTrial,
    find_trial,
    get_stored,
    list_trials,
    record_draft,
    record_published,
    record_release,
    record_trials,
)
from services.trials.tables import outbox

NAMES = uuid.UUID("52c9f3a6-6f0b-5c1a-b9f5-0f7d6a1b7e24")
"""Namespace of trial ids."""


class NotYetError(Exception):
    """What was asked can't be done as things stand; the message says why, for a coordinator."""


def trial_id(tenant: str, registry_id: str) -> str:
    """A trial's id: the same in every store of the tenant."""
    return str(uuid.uuid5(NAMES, f"{tenant}/{registry_id}"))


@dataclass(frozen=True, slots=True)
class Desk:
    """What the acts have in common. ``publisher`` makes the events."""

    publisher: Publisher

    async def take(self, connection: AsyncConnection, tenant: str, reads: Iterable[Read], now: datetime) -> list[Line]:
        """Import records: drafts of what is new, and of what changed; a published trial follows its registry's status.

        The published criteria stay until a coordinator publishes the new ones, and so does who published them: whoever
        imports isn't the second person for a release.
        """
        records = list(reads)
        names = [each.registry_id for each in records if isinstance(each, RegistryTrial)]
        stored = dict(await get_stored(connection, tenant, names))
        lines, changed = [], dict[str, RegistryTrial]()
        for each in records:
            lines.append(compare(each, stored))
            if not isinstance(each, Refused) and lines[-1].outcome not in (Outcome.SAME, Outcome.REFUSED):
                changed[each.registry_id] = each
        known = {each.trial_id: each for each in await list_trials(connection, tenant, self._ids(tenant, changed))}
        await record_trials(connection, tenant, [self._row(tenant, each, known, now) for each in changed.values()])
        follow = [
            followed
            for each in known.values()
            if (followed := _followed(each, changed[each.record.registry_id])) is not None
        ]
        if follow:
            await self._publish(connection, tenant, follow, None, now, known)
        return lines

    def _ids(self, tenant: str, names: Iterable[str]) -> list[str]:
        return [trial_id(tenant, each) for each in names]

    def _row(
        self, tenant: str, record: RegistryTrial, known: Mapping[str, StoredTrial], now: datetime
    ) -> Mapping[str, object]:
        name = trial_id(tenant, record.registry_id)
        before = known.get(name)
        return {
            "trial_id": name, "registry_id": record.registry_id, "digest": record.digest,
            "record": record.model_dump_json(), "draft": _draft(name, record, before).model_dump_json(),
            "imported_at": now,
        }  # fmt: skip

    async def save(self, connection: AsyncConnection, tenant: str, draft: TrialState) -> None:
        """Keep a draft; what is published stays as it is."""
        await record_draft(connection, tenant, draft)

    async def publish(self, connection: AsyncConnection, tenant: str, name: str, by: str, now: datetime) -> TrialState:
        """Make the draft what counts, in a new version. ``NotYetError`` when there is nothing to publish."""
        trial = await find_trial(connection, tenant, name, lock=True)
        if trial is None:
            raise NotYetError("There is no such trial.")
        before = trial.published
        if not any(True for _ in trial.draft.eligibility.every()):
            raise NotYetError("The trial has no criteria: everybody would be eligible.")
        if before is not None and _content(before) == _content(trial.draft):
            raise NotYetError("Nothing has changed since it was published.")
        version = before.version + 1 if before else 1
        criteria = _next_criteria(before, trial.draft.eligibility)
        state = trial.draft.model_copy(update={"version": version, "criteria_version": criteria})
        await self._publish(connection, tenant, [state], by, now, {trial.trial_id: trial})
        return state

    async def _publish(
        self, connection: AsyncConnection, tenant: str, states: list[TrialState], by: str | None, now: datetime,
        known: Mapping[str, StoredTrial],
    ) -> None:  # fmt: skip
        await record_published(connection, tenant, states, by, now)
        messages = []
        for each in states:
            first = known[each.trial_id].published is None
            name = "trial.closed" if not is_open(each) else "trial.published" if first else "trial.changed"
            messages.append(self.publisher.trial(name, tenant, each, now))
        await put(connection, outbox, messages)

    async def release(self, connection: AsyncConnection, tenant: str, name: str, by: str, now: datetime) -> None:
        """Let a trial's invitations go. ``NotYetError`` unless a second person does it."""
        trial = await find_trial(connection, tenant, name, lock=True)
        if trial is None or trial.published is None:
            raise NotYetError("The trial isn't published.")
        if trial.published_by == by:
            raise NotYetError("Whoever published the trial can't release its invitations: a second person does.")
        if trial.released_at is None:
            await record_release(connection, (tenant, trial.trial_id), by, now)


def unpublished(trial: StoredTrial) -> bool:
    """Whether the draft says something else than what is published."""
    return trial.published is None or _content(trial.published) != _content(trial.draft)


def _content(state: TrialState) -> TrialState:
    return state.model_copy(update={"version": 1, "criteria_version": "1.0"})


def _followed(trial: StoredTrial, record: RegistryTrial) -> TrialState | None:
    """What is published, with the registry's new status and sites; None when these are the same."""
    before = trial.published
    if before is None or (before.status, before.sites) == (record.status, record.sites):
        return None
    return before.model_copy(update={"version": before.version + 1, "status": record.status, "sites": record.sites})


def _draft(name: str, record: RegistryTrial, before: StoredTrial | None) -> TrialState:
    """The record as a draft; criteria whose sentence stayed keep what a person made of them."""
    old = before.draft if before else None
    said = {(each.kind, each.text): each for each in (old.eligibility.every() if old else ())}
    eligibility = record.eligibility
    kept = tuple(_kept(each, said.get((each.kind, each.text))) for each in eligibility.criteria)
    title = record.brief_title or record.official_title or record.registry_id
    state = TrialState(
        trial_id=name, version=1, registry_id=record.registry_id, title=title[:600], status=record.status,
        sites=record.sites, criteria_version="1.0", eligibility=eligibility.model_copy(update={"criteria": kept}),
    )  # fmt: skip
    if old is None:
        return state
    cohorts = state.eligibility.model_copy(update={"cohorts": old.eligibility.cohorts})
    return state.model_copy(update={"programs": old.programs, "approvals": old.approvals, "eligibility": cohorts})


def _kept(new: Criterion, old: Criterion | None) -> Criterion:
    return new if old is None else old.model_copy(update={"id": new.id})


def _next_criteria(before: TrialState | None, now: Eligibility) -> str:
    """The major grows when what is asked changed, the minor when only words or marks did."""
    if before is None:
        return "1.0"
    major, minor = (int(each) for each in before.criteria_version.split("."))
    if before.eligibility == now:
        return before.criteria_version
    return f"{major}.{minor + 1}" if _meaning(before.eligibility) == _meaning(now) else f"{major + 1}.0"


def _meaning(eligibility: Eligibility) -> object:
    def asked(criteria: Iterable[Criterion]) -> list[object]:
        return [(each.id, each.kind, each.expression) for each in criteria]

    cohorts = [(each.id, asked(each.criteria)) for each in eligibility.cohorts]
    return (eligibility.minimum_age, eligibility.maximum_age, eligibility.sex, asked(eligibility.criteria), cohorts)
