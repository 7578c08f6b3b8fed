"""What a lab's coordinators and patients have received, held against its matches, its requests and its ledger."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from schemas.outcomes import Kind
from schemas.topics import subscription_topic
from services.notifier.smtp import SmtpSettings
from services.notifier.tables import deliveries
from services.trials.store.invitations import State
from services.trials.tables import invitations, matches, reports
from tests.support.coordinating import Room
from tests.support.lab import Lab, address_of

CONNECTIONS = SmtpSettings(host="127.0.0.1").connections
_PURGED = ("criteria", "verdict")
"""Of what was told of somebody who has died, the log keeps no more than that it was told."""


@dataclass(frozen=True, slots=True)
class Followers:
    """Two of a coordinator's subscriptions, made before anything happened: an own topic, and a log read over HTTP."""

    room: Room
    topic: str
    http: str

    async def check(self, lab: Lab, standing: Mapping[str, str]) -> None:
        """``standing``: verdicts by patient. Each step of each match was told once, and what was told adds up to it."""
        told = _once(await lab.heard(subscription_topic(self.topic)))
        logged = await self._logged(lab, self.topic)
        assert [_bare(each) for each in told] == [_bare(each) for each in logged]
        assert [each["sequence"] for each in told] == list(range(1, len(told) + 1))
        versions, people = await _matches(lab), await _people(lab, self.topic)
        assert applied([{**each, "patient": people[each["pseudonym"]]} for each in told]) == standing
        assert Counter(people[each["pseudonym"]] for each in told) == versions, "no step is missing, none comes twice"
        answer = await self.room.get(f"/v1/subscriptions/{self.http}/reports?limit=1000")
        read, others = answer.json()["reports"], await _people(lab, self.http)
        assert [(each["type"], others[each["pseudonym"]]) for each in read] == [
            (each["event"], people[each["pseudonym"]]) for each in told
        ]
        assert not people.keys() & others.keys()

    async def _logged(self, lab: Lab, subscription_id: str) -> list[dict[str, Any]]:
        query = select(reports).where(reports.c.subscription_id == subscription_id).order_by(reports.c.sequence)
        async with lab.stores["trials"].read() as connection:
            return [{"event": row.name, **json.loads(row.body)} for row in await connection.execute(query)]


def applied(told: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """The verdicts a reader ends with who follows each report; a report that says nothing new fails."""
    now: dict[str, str] = {}
    for each in told:
        before, name = now.get(each["patient"]), each["event"]
        if name == "report.withdrawn":
            assert before is not None, each
            del now[each["patient"]]
        else:
            assert name == ("report.found" if before is None else "report.changed"), each
            assert each["verdict"] != before, each
            now[each["patient"]] = each["verdict"]
    return now


def _once(reports: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The first of each id; a record that comes again says the same."""
    found: dict[str, dict[str, Any]] = {}
    for each in reports:
        assert found.setdefault(each["report_id"], each) == each
    return list(found.values())


def _bare(report: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in report.items() if name not in _PURGED and value is not None}


async def _matches(lab: Lab) -> dict[str, int]:
    """How many steps each patient's match has made; only of those who ever had one."""
    async with lab.stores["trials"].read() as connection:
        return {row.patient_id: row.version for row in await connection.execute(select(matches))}


async def _people(lab: Lab, subscription_id: str) -> dict[str, str]:
    """Patients by pseudonym, one to one."""
    mine = reports.c.subscription_id == subscription_id
    query = select(reports.c.body, matches.c.patient_id).join(matches, matches.c.match_id == reports.c.match_id)
    async with lab.stores["trials"].read() as connection:
        pairs = {
            (json.loads(row.body)["pseudonym"], row.patient_id) for row in await connection.execute(query.where(mine))
        }
    assert len(pairs) == len({pseudonym for pseudonym, _ in pairs}) == len({patient_id for _, patient_id in pairs})
    return dict(pairs)


@dataclass(frozen=True, slots=True)
class Letterbox:
    """Who was sent what, by patient: mails that arrived, and states of the ledger."""

    mails: Mapping[str, int]
    states: Mapping[str, str]
    invited: Set[str]

    @classmethod
    async def empty(cls, lab: Lab, everybody: Iterable[str]) -> "Letterbox":
        """Read it, once everything is at rest. Nobody has two rows, and no mail is anything but an invitation."""
        addresses = {address_of(each): each for each in everybody}
        found = Counter(addresses[to] for mail in lab.smtp.mails for to in mail.recipients)
        async with lab.stores["notifier"].read() as connection:
            rows = list(await connection.execute(select(deliveries)))
        assert {row.kind for row in rows} <= {Kind.TRIAL_INVITATION}
        assert len({row.patient_id for row in rows}) == len(rows)
        async with lab.stores["trials"].read() as connection:
            sent = invitations.c.state == State.SENT
            invited = (await connection.execute(select(invitations.c.patient_id).where(sent))).scalars()
            return cls(found, {row.patient_id: row.state for row in rows}, set(invited))

    def having(self, *states: str) -> set[str]:
        return {patient_id for patient_id, state in self.states.items() if state in states}

    def check(self, asked: Set[str], standing: Set[str]) -> None:
        """``asked``: of whom there ever was a request; ``standing``: whose request still stands.

        One mail at most, and the ledger knows of it; trials, too.
        """
        sent, uncertain = self.having("sent"), self.having("uncertain")
        assert set(self.mails.values()) == {1}, self
        assert sent <= self.mails.keys() <= sent | uncertain, self
        assert standing <= sent | uncertain <= asked, (self, asked, standing)
        assert self.invited == sent | uncertain, self
        assert 1 <= len(uncertain) <= CONNECTIONS, "what was on the line when the notifier was killed"


def newest(requests: Iterable[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Of each patient's requests the newest version. One request id a patient, for life."""
    found: dict[str, Mapping[str, Any]] = {}
    ids: defaultdict[str, set[str]] = defaultdict(set)
    for each in requests:
        ids[each["patient_id"]].add(each["request_id"])
        if each["version"] >= found.get(each["patient_id"], each)["version"]:
            found[each["patient_id"]] = each
    assert all(len(each) == 1 for each in ids.values())
    return found
