"""What must come of the demo's story, worked out by hand from the policy as shipped; times are the recipient's."""

from collections import Counter, defaultdict
from datetime import datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import select

from services.trials.tables import matches, trials
from standalone.demo.driver import Driver
from standalone.demo.ledger import Entry, entries
from standalone.demo.research import reports
from standalone.demo.story import PACIFIC

EQUATION = (
    "planned 36 = sent 15 + skipped 6 + cancelled 6 + missed 8 + failed 1 + uncertain 0 + open 0 (held 0): balanced"
)


class Mail(NamedTuple):
    """One mail: when by the recipient's clock, subject, tier, and the deliveries that it carried."""

    at: str
    subject: str
    tier: int
    carries: tuple[str, ...]


_REMINDER = "Appointment reminder"
MAILS: dict[str, list[Mail]] = {
    "Ana": [
        Mail("2027-02-26 09:15", "You have a form to complete", 1, ("paperwork-request request",)),
        Mail("2027-03-02 10:00", _REMINDER, 1, ("appointment-reminder P14D", "paperwork-request P14D")),
        Mail("2027-03-13 10:00", _REMINDER, 1, ("appointment-reminder P3D",)),
        Mail("2027-03-15 10:00", _REMINDER, 1, ("appointment-reminder P1D",)),
    ],
    "Ben": [
        Mail("2027-03-08 10:00", _REMINDER, 0, ("appointment-reminder P7D",)),
        Mail("2027-03-14 10:00", _REMINDER, 0, ("appointment-reminder P1D",)),
    ],
    "Carmen": [
        Mail("2027-03-03 10:00", _REMINDER, 1, ("appointment-reminder P7D",)),
        Mail("2027-03-09 10:00", _REMINDER, 1, ("appointment-reminder P1D",)),
    ],
    "David": [
        Mail("2027-03-08 15:15", "Your upcoming appointment", 0, ("late-booking P3D",)),
        Mail("2027-03-09 11:22", "Your appointment has changed", 0, ("appointment-change",)),
        Mail("2027-03-11 10:15", "Your appointment is cancelled", 0, ("appointment-cancellation",)),
    ],
    "Elena": [Mail("2027-03-12 11:15", "Your appointment is cancelled", 0, ("appointment-cancellation",))],
    "Grace": [Mail("2027-03-04 14:00", "An update you asked for", 0, ("trial-invitation",))],
    "Hana": [Mail("2027-03-08 09:30", "An update you asked for", 1, ("trial-invitation",))],
}
"""Nobody else gets any."""

MATCHES = {
    ("Frank", "TEST-ICHD-1"): "deceased",
    ("Grace", "TEST-ICHD-1"): "possible",
    ("Hana", "TEST-ICHD-1"): "possible",
    ("Grace", "TEST-CVF-1"): "eligible",
    ("Hana", "TEST-CVF-1"): "eligible",
}
"""Every pair that trials store at the end: its verdict, or why it was withdrawn. Nobody without consent is in any."""

MATCHED = [
    ("2027-02-26 13:00", "Frank", "matches TEST-ICHD-1: every criterion is met"),
    ("2027-02-26 13:00", "Grace", "may match TEST-ICHD-1: 3 criteria not known"),
    ("2027-02-26 13:00", "Hana", "may match TEST-ICHD-1: 3 criteria not known"),
    ("2027-03-02 08:00", "Frank", "the match with TEST-ICHD-1 is withdrawn"),
    ("2027-03-04 10:00", "Grace", "matches TEST-CVF-1: every criterion is met"),
    ("2027-03-04 10:00", "Hana", "may match TEST-CVF-1: 1 criterion not known"),
    ("2027-03-08 09:30", "Hana", "matches TEST-CVF-1: every criterion is met"),
]
"""Each step of each match, in Los Angeles."""

REPORTS = Counter(
    {
        ("report.found", "TEST-ICHD-1", None): 1,
        ("report.found", "TEST-ICHD-1", "possible"): 2,
        ("report.withdrawn", "TEST-ICHD-1", None): 1,
        ("report.found", "TEST-CVF-1", "eligible"): 1,
        ("report.found", "TEST-CVF-1", "possible"): 1,
        ("report.changed", "TEST-CVF-1", "eligible"): 1,
    }
)
"""What the subscribed coordinator is told, of three pseudonyms. Of a match that doesn't stand, no reason is kept."""

_LATER = {"Julia": "unverified_address", "Kai": "unverified_address", "Mia": "minor_review"}
NOT_SENT: dict[str, list[tuple[str, str, str, str | None]]] = {
    "Ana": [
        ("paperwork-request P7D", "2027-03-09 10:00", "skipped", "paperwork_received"),
        ("paperwork-request P3D", "2027-03-13 10:00", "cancelled", "paperwork_received"),
    ],
    "David": [
        ("appointment-reminder P3D", "2027-03-08 10:00", "skipped", "collapsed"),
        ("appointment-reminder P1D", "2027-03-09 10:00", "skipped", "collapsed"),
        ("appointment-reminder P3D", "2027-03-09 10:00", "skipped", "collapsed"),
        ("appointment-reminder P1D", "2027-03-10 10:00", "cancelled", "superseded"),
        ("appointment-reminder P1D", "2027-03-11 10:00", "skipped", "visit_cancelled"),
    ],
    "Elena": [
        ("appointment-reminder P14D", "2027-03-02 10:00", "skipped", "opted_out"),
        ("appointment-reminder P3D", "2027-03-13 10:00", "cancelled", "visit_cancelled"),
        ("appointment-reminder P1D", "2027-03-15 10:00", "cancelled", "visit_cancelled"),
    ],
    "Frank": [
        ("appointment-reminder P7D", "2027-03-09 10:00", "cancelled", "deceased"),
        ("appointment-reminder P1D", "2027-03-15 10:00", "cancelled", "deceased"),
    ],
    "Lars": [
        ("appointment-reminder P14D", "2027-03-02 10:00", "failed", None),
        ("appointment-reminder P3D", "2027-03-13 10:00", "missed", "suppressed"),
        ("appointment-reminder P1D", "2027-03-15 10:00", "missed", "suppressed"),
    ],
    **{
        name: [
            ("appointment-reminder P7D", "2027-03-09 10:00", "missed", reason),
            ("appointment-reminder P1D", "2027-03-15 10:00", "missed", reason),
        ]
        for name, reason in _LATER.items()
    },
}
"""What was due when, and why it didn't go out."""


def _local(instant: datetime, zone: str) -> str:
    return f"{instant.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M}"


def _short(entry: Entry) -> str:
    return f"{entry.kind} {entry.step}" if entry.step else entry.kind


async def mails_of(driver: Driver) -> dict[str, list[Mail]]:
    """What the mailbox holds, by person; a mail that the ledger doesn't know stands under "?"."""
    carried: defaultdict[str, list[Entry]] = defaultdict(list)
    for entry in await entries(driver.system, driver.posts):
        if entry.state == "sent":
            carried[entry.message_id or ""].append(entry)
    found: defaultdict[str, list[Mail]] = defaultdict(list)
    for message in driver.system.mailbox.messages:
        of = carried.get(message.header("Message-ID"), [])
        assert message.date is not None
        assert message.simulated
        person, zone = (of[0].person, of[0].zone) if of else ("?", "UTC")
        carries = tuple(sorted(_short(each) for each in of))
        tier = of[0].tier if of else None
        found[person].append(Mail(_local(message.date, zone), message.subject, -1 if tier is None else tier, carries))
    return {person: sorted(mails) for person, mails in sorted(found.items())}


async def not_sent(driver: Driver) -> dict[str, list[tuple[str, str, str, str | None]]]:
    """Every delivery that wasn't sent, by person and due time."""
    found: defaultdict[str, list[tuple[str, str, str, str | None]]] = defaultdict(list)
    for each in await entries(driver.system, driver.posts):
        if each.state != "sent":
            found[each.person].append((_short(each), _local(each.due_at, each.zone), each.state, each.reason))
    return {person: sorted(ends, key=lambda end: (end[1], end[0])) for person, ends in found.items()}


def matched(driver: Driver) -> list[tuple[str, str, str]]:
    """What the story saw of matches."""
    return [(_local(each.at, PACIFIC), each.person, each.said) for each in driver.matched]


async def reported(driver: Driver) -> Counter[tuple[str, str, str | None]]:
    """What the subscribed coordinator was told: type, trial, verdict."""
    return Counter((each["type"], each["registry_id"], each.get("verdict")) for each in await reports(driver.staff))


async def matches_of(driver: Driver) -> dict[tuple[str, str], str]:
    """What trials store of pairs, by person and trial."""
    joined = matches.join(trials, (matches.c.tenant == trials.c.tenant) & (matches.c.trial_id == trials.c.trial_id))
    async with driver.system.trials.store.read() as connection:
        rows = (await connection.execute(select(matches, trials.c.registry_id).select_from(joined))).all()
    return {
        (driver.posts.person_of(row.patient_id) or "?", row.registry_id): row.withdrawn or row.verdict for row in rows
    }
