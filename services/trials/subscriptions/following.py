"""Kafka in: match events become reports of every subscription that may see them. One transaction, by the consumer."""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.dead_letters import DeadLetter
from chassis.decoding import Event
from chassis.errors import Permanent
from chassis.sealing import Keyring
from schemas.trials import MatchState, TrialState
from schemas.vocabulary import Vocabulary
from services.trials.catalogue import Catalogue
from services.trials.domain import Offers
from services.trials.reporting import OF_THE_TRIAL, names, pseudonym, report, transition, visible
from services.trials.store.matches import criteria_version
from services.trials.store.reports import (
    Followed,
    PairKey,
    Revision,
    load_followed,
    load_revisions,
    purge_explanations,
    record_followed,
    record_revisions,
)
from services.trials.store.subscriptions import lock_active
from services.trials.subscription import Subscription
from services.trials.subscriptions.telling import Entry, Teller

GROUP = "trials.matches"
USES = frozenset({"match.found", "match.changed", "match.withdrawn"})

NAMES = uuid.UUID("e3b1d2a4-5c43-5f0e-8a55-6f2f0d7f9c11")
"""Namespace of report ids: what is told twice has one id."""

CLOSED = "trial_closed"


@dataclass(frozen=True, slots=True)
class MatchHandlers:
    """Handles ``trials.matches.v1``."""

    offers: Offers
    catalogue: Catalogue
    teller: Teller
    master: Keyring

    async def apply(self, connection: AsyncConnection, events: Sequence[Event[Any]]) -> int:
        """Follow each match in every subscription of its tenant; how many events were news to none."""
        found = [(event.envelope.tenant or "", event.data) for event in events]
        await self.catalogue.catch_up(connection)
        subscribed = await lock_active(connection, {tenant for tenant, _ in found}, self.master)
        return len(events) - len(await self.follow(connection, subscribed, found))

    async def follow(
        self, connection: AsyncConnection, subscribed: Sequence[Subscription], found: Iterable[tuple[str, MatchState]],
        *, backlog: bool = False,
    ) -> set[int]:  # fmt: skip
        """Tell locked subscriptions what is new to them; the places in ``found`` of what was.

        ``backlog``: what stands when somebody subscribes is told one by one, whatever trial changed last.
        """
        listed = list(found)
        ids = [each.subscription_id for each in subscribed]
        followed = await load_followed(connection, ids, [match.match_id for _, match in listed])
        revisions = await load_revisions(connection, ids, [match.trial_id for _, match in listed])
        work = _Work(followed, revisions, backlog)
        news = set()
        for place, (tenant, match) in enumerate(listed):
            for each in subscribed:
                if each.tenant == tenant and work.is_news(each, match):
                    trial, vocabulary = self._trial(tenant, match)
                    if names(each.filter, trial):
                        work.match(each, match, trial, vocabulary)
                        news.add(place)
        await record_followed(connection, {key: followed[key] for key in work.seen})
        await record_revisions(connection, {key: revisions[key] for key in work.revised})
        await purge_explanations(connection, work.silenced)
        await self.teller.tell(connection, work.entries)
        return news

    def _trial(self, tenant: str, match: MatchState) -> tuple[TrialState, Vocabulary]:
        """``Permanent("unknown_trial")``: a match of what was never published here."""
        trial, offer = self.catalogue.get(tenant, match.trial_id), self.offers.get(match.program)
        if trial is None or offer is None:
            raise Permanent("unknown_trial")
        return trial, offer.vocabulary

    async def buried(self, _connection: AsyncConnection, _letters: Sequence[DeadLetter]) -> None:
        """Nobody acts on a report, so nothing is held back; the letter itself is what operators see."""

    async def released(self, _connection: AsyncConnection, _letter: DeadLetter, _event: Event[Any] | None) -> bool:
        return False


class _Work:
    """What one transaction changes, gathered match by match."""

    def __init__(self, followed: dict[PairKey, Followed], revisions: dict[PairKey, Revision], backlog: bool) -> None:
        self.followed, self.revisions, self.backlog = followed, revisions, backlog
        self.seen: set[PairKey] = set()
        self.revised: set[PairKey] = set()
        self.silenced: set[PairKey] = set()
        self.entries: list[Entry] = []

    def is_news(self, of: Subscription, match: MatchState) -> bool:
        """Of a program that isn't its business only what was told before: the patient is judged in another one now."""
        known = self.followed.get((of.subscription_id, match.match_id))
        if known is None:
            return of.hears_of(of.tenant, match.program)
        return known.version < match.version

    def match(self, of: Subscription, match: MatchState, trial: TrialState, vocabulary: Vocabulary) -> None:
        key = (of.subscription_id, match.match_id)
        before, now = self.followed.get(key), visible(of.filter, trial, match)
        self.followed[key] = Followed(match.version, now)
        self.seen.add(key)
        if match.withdrawn is not None and match.withdrawn not in OF_THE_TRIAL:
            self.silenced.add(key)
        what = transition(before.verdict if before else None, now)
        collecting = self._revision((of.subscription_id, match.trial_id), match)
        if what is None:
            return
        if collecting is not None and key not in self.silenced:
            count = {what.value: getattr(collecting, what.value) + 1}
            self._revise((of.subscription_id, match.trial_id), replace(collecting, **count))
            return
        report_id = str(uuid.uuid5(NAMES, f"{of.subscription_id}/{match.match_id}/{match.version}"))
        told = report(
            match, trial, what, vocabulary, report_id=report_id, subscription_id=of.subscription_id,
            alias=pseudonym(of.secrets.pseudonym_key, match.patient_id),
        )  # fmt: skip
        self.entries.append(Entry(of, f"report.{what}", told, match.match_id))

    def _revision(self, key: PairKey, match: MatchState) -> Revision | None:
        """The trial's change that moved this match, if one did: newer criteria than were seen, or that it closed.

        Patients whose own facts changed while a change is being worked off are counted with it.
        """
        known = self.revisions.get(key)
        if known is None or _newer(match, known):
            counts = known or Revision(match.criteria_version)
            collecting = known is not None and not self.backlog
            self._revise(key, replace(counts, criteria_version=match.criteria_version, collecting=collecting))
        elif match.withdrawn == CLOSED and not known.collecting and not self.backlog:
            self._revise(key, replace(known, collecting=True))
        now = self.revisions[key]
        return now if now.collecting and now.criteria_version == match.criteria_version else None

    def _revise(self, key: PairKey, revision: Revision) -> None:
        self.revisions[key] = revision
        self.revised.add(key)


def _newer(match: MatchState, known: Revision) -> bool:
    return criteria_version(match.criteria_version) > criteria_version(known.criteria_version)
