"""What went wrong for users of comparable systems, end to end: over HTTP in, through the broker, out by SMTP.

Each test lives in one shared system, on days and with patients of its own. After each the books must balance: every
planned delivery has one end or is open, and what the ledger calls sent has arrived, once.
"""

from collections import Counter
from datetime import date, timedelta
from typing import Any

import pytest

from schemas.patient import PatientStatus
from services.notifier.reconcile import reconcile
from tests.support.eventually import eventually
from tests.support.hospital import (
    NEW_YORK,
    PACIFIC,
    TENANT,
    Person,
    Town,
    all_told,
    at,
    hour,
    local,
    spoken,
)
from tests.support.producer import Producer

pytestmark = pytest.mark.asyncio(loop_scope="module")

REMINDER = "Appointment reminder"
CHANGED = "Your appointment has changed"
OFF = "Your appointment is cancelled"
LATE = "Your upcoming appointment"
NOWHERE = "Mars/Olympus_Mons"


async def test_a_reminder_goes_out_once_however_often_its_facts_are_heard_again(town: Town) -> None:
    ana = await town.patient()
    booked = ana.booked(at(town.day(9), "11:00"))
    await town.hospital.tell(booked)
    await town.until(at(town.day(2), "10:00"))
    assert ana.subjects == [REMINDER]
    for oclock in range(11, 17):
        town.hospital.system.intake.relay.republish()
        await town.hospital.tell(booked)
        await town.hospital.tell(ana.edited(f"Demo Clinician {oclock}"))
        await town.until(at(town.day(2), f"{oclock}:00"))
    assert ana.subjects == [REMINDER]
    await town.until(at(town.day(8), "10:00"))
    assert ana.subjects == [REMINDER, REMINDER]
    assert await ana.ends() == [("P7D", "sent", None), ("P1D", "sent", None)]


async def test_each_of_many_due_at_once_gets_their_own_text(town: Town) -> None:
    starts = {name: at(town.day(9), clock) for name, clock in TIMES.items()}
    people = {name: await town.patient(name) for name in starts}
    for name, one in people.items():
        await town.hospital.tell(one.agrees(), one.booked(starts[name]))
    await town.until(at(town.day(2), "10:00"))
    for name, one in people.items():
        (mail,) = one.mails
        assert f"Hello {name}," in one.text
        assert spoken(starts[name]) in one.text
        for other in starts.keys() - {name}:
            everywhere = f"{mail.source.decode()} {mail.text} {mail.html} {mail.calendar}"
            assert other not in everywhere
            assert spoken(starts[other]) not in everywhere
            assert f"{starts[other]:%Y%m%dT%H%M%SZ}" not in everywhere


TIMES = {"Ada": "09:00", "Bela": "09:40", "Cora": "10:20", "Dana": "11:00", "Edith": "13:20", "Flora": "14:40"}


async def test_one_without_an_address_and_one_refused_end_nothing_for_those_after_them(town: Town) -> None:
    nobody = await town.patient("Nina", patient_id=f"00000000-{town.today:%m%d}-4000-8000-000000000000", email=None)
    refused = await town.patient("Rose")
    after = [await town.patient(name) for name in ("Ada", "Bela", "Cora", "Dana", "Edith")]
    town.hospital.system.mailbox.refuse(refused.address, "550 5.1.1 No such mailbox")
    await all_told([nobody, refused, *after], lambda each: each.booked(at(town.day(9), "11:00")))
    await town.until(at(town.day(2), "10:00"))
    assert [each.subjects for each in after] == [[REMINDER]] * 5
    assert (await nobody.ends())[0] == ("P7D", "held", "no_address")
    assert "no_address" in await nobody.worklist()
    assert (await refused.ends())[0] == ("P7D", "failed", None)
    assert "address_refused" in await refused.worklist()


async def test_a_reminder_comes_at_ten_where_the_patient_lives(town: Town) -> None:
    start = at(town.day(9), "11:00")
    zones = ("Pacific/Honolulu", PACIFIC, NEW_YORK, "Asia/Tokyo")
    people = {zone: await town.patient(zone=zone) for zone in zones}
    await all_told(list(people.values()), lambda each: each.booked(start))
    await town.until(at(town.day(3), "10:00"))
    for zone, one in people.items():
        (mail,) = one.mails
        assert mail.date == at(town.day(2), "10:00", zone)
        assert spoken(start) in one.text
        assert f"{hour(start, zone)} {NAMES[zone]}" in one.text


async def test_hours_on_the_clock_stay_the_same_when_the_clocks_change(town: Town) -> None:
    sunday = next_change(town.day(10), NEW_YORK)
    assert next_change(town.day(10), PACIFIC) == sunday
    await town.until(at(sunday - timedelta(days=8), "09:00"))
    start = at(sunday + timedelta(days=1), "11:00")
    people = {zone: await town.patient(zone=zone) for zone in (PACIFIC, NEW_YORK)}
    await all_told(list(people.values()), lambda each: each.booked(start))
    await town.until(start)
    for zone, one in people.items():
        before, after = (local(mail.date, zone) for mail in one.mails if mail.date)
        assert f"{before:%H:%M} {after:%H:%M}" == "10:00 10:00"
        assert (before.date(), after.date()) == (sunday - timedelta(days=6), sunday)
        assert before.utcoffset() != after.utcoffset()
        assert one.text.count(spoken(start)) == 2
        assert one.text.count(hour(start, zone)) == 2


NAMES = {"Pacific/Honolulu": "Hawaii", PACIFIC: "Pacific", NEW_YORK: "Eastern", "Asia/Tokyo": "Japan"}


def next_change(day: date, zone: str) -> date:
    """The first day from ``day`` on at whose noon the clocks there show another offset than the day before."""
    while (
        local(at(day, "12:00", zone), zone).utcoffset()
        == local(at(day - timedelta(days=1), "12:00", zone), zone).utcoffset()
    ):
        day += timedelta(days=1)
    return day


async def test_a_zone_that_does_not_exist_is_refused_in_words_and_drops_nobody_else(town: Town) -> None:
    start = at(town.day(9), "11:00")
    people = [await town.patient(name) for name in ("Ada", "Bela")]
    bad, visit = town.person("Cora"), people[0].booked(start)
    refused = await town.hospital.post(people[1].booked(start), bad.registered(NOWHERE))
    assert refused.status_code == 422
    (error,) = refused.json()["errors"]
    assert error["pointer"] == "#/1/data/zone"
    assert "is no time zone of the IANA database" in error["detail"]
    refused = await town.hospital.post(visit | {"data": visit["data"] | {"zone": NOWHERE}})
    assert refused.json()["errors"][0]["pointer"] == "#/0/data/zone"
    assert [await each.ends() for each in people] == [[], []]
    await all_told(people, lambda each: each.booked(start))
    await town.hospital.tell(bad.registered(), bad.enrolled(), bad.booked(start))
    await town.until(at(town.day(2), "10:00"))
    assert [each.subjects for each in (*people, bad)] == [[REMINDER]] * 3


async def test_a_zone_nobody_knows_that_an_older_producer_sent_is_the_clinics_with_a_task_for_staff(town: Town) -> None:
    start = at(town.day(9), "11:00")
    neighbour, traveller = await town.patient("Ada"), await town.patient("Bela", zone=NEW_YORK)
    await all_told([neighbour, traveller], lambda each: each.booked(start))
    await town.hospital.heard()
    producer = Producer(town.hospital)
    await producer.publish(
        producer.patient(traveller, 2, zone=NOWHERE), producer.visit(traveller, start, 2, zone=NOWHERE)
    )
    await town.until(at(town.day(2), "10:00"))
    for one in (neighbour, traveller):
        (mail,) = one.mails
        assert mail.date == at(town.day(2), "10:00")
        assert spoken(start) in one.text
    assert set(await traveller.worklist()) == {"unknown_zone"}
    assert await neighbour.worklist() == []


async def test_no_reminder_goes_out_after_the_visit_was_cancelled(town: Town) -> None:
    before, claimed = await town.patient("Ada"), await town.patient("Bela")
    await all_told([before, claimed], lambda each: each.booked(at(town.day(9), "11:00")))
    town.hospital.claimed[claimed.id] = lambda: town.hospital.tell(claimed.cancelled())
    await town.until(at(town.day(1), "12:00"))
    await town.hospital.tell(before.cancelled())
    await town.until(at(town.day(10), "12:00"))
    assert [before.subjects, claimed.subjects] == [[OFF], [OFF]]
    assert ("P7D", "cancelled", "visit_cancelled") in await before.ends()
    assert ("P7D", "skipped", "visit_cancelled") in await claimed.ends()


async def test_no_reminder_says_a_time_that_is_void(town: Town) -> None:
    old, new = at(town.day(9), "11:00"), at(town.day(12), "14:00")
    before, claimed = await town.patient("Ada"), await town.patient("Bela")
    await all_told([before, claimed], lambda each: each.booked(old))
    town.hospital.claimed[claimed.id] = lambda: town.hospital.tell(claimed.moved(new))
    await town.until(at(town.day(1), "12:00"))
    await town.hospital.tell(before.moved(new))
    await town.until(at(town.day(13), "12:00"))
    for one in (before, claimed):
        assert one.subjects == [CHANGED, REMINDER, REMINDER]
        assert spoken(old) not in one.text
        assert one.text.count(spoken(new)) == 3
        assert [local(mail.date).date() for mail in one.mails[1:] if mail.date] == [town.day(5), town.day(11)]
    assert ("P7D", "skipped", "superseded") in await claimed.ends()


async def test_a_late_booking_sends_no_reminder_whose_time_has_passed(town: Town) -> None:
    days, hours, soon, over = [await town.patient(name) for name in ("Ada", "Bela", "Cora", "Dana")]
    await town.hospital.tell(days.booked(at(town.day(5), "11:00")))
    await town.hospital.tell(hours.booked(at(town.day(1), "08:00")))
    await town.hospital.tell(soon.booked(at(town.day(0), "11:00")))
    await town.hospital.tell(over.booked(at(town.day(-1), "11:00")))
    await town.until(at(town.day(6), "12:00"))
    assert days.subjects == [LATE, REMINDER]
    assert [f"{local(each.date):%d %H:%M}" for each in days.mails if each.date] == [
        f"{town.day(0):%d} 09:15", f"{town.day(4):%d} 10:00",
    ]  # fmt: skip
    assert hours.subjects == [LATE]
    assert ("P7D", "skipped", "collapsed") in await hours.ends()
    assert soon.mails == []
    assert ("P1D", "skipped", "too_late") in await soon.ends()
    assert over.mails == []


async def test_what_an_outage_of_a_week_kept_is_missed_and_never_sent_late(town: Town) -> None:
    hospital = town.hospital
    patch, moved, later = [await town.patient(name) for name in ("Ada", "Bela", "Cora")]
    await all_told([patch, moved], lambda each: each.booked(at(town.day(6), "11:00"), visit_type="blood-patch"))
    await hospital.tell(later.booked(at(town.day(16), "11:00")))
    await town.until(at(town.day(2), "12:00"))
    await hospital.system.mailbox.stop()
    try:
        await hospital.tell(moved.moved(at(town.day(7), "11:00")))
        await hospital.heard()
        hospital.clock.advance_to(at(town.day(3), "10:00"))
        hospital.system.notifier.sender.nudge()
        await eventually(lambda: hospital.system.notifier.sender.status()["smtp"] != "ready")
        hospital.clock.advance_to(at(town.day(5), "10:00"))
        assert await eventually(lambda: is_missed(patch, "P3D"))
        assert await eventually(lambda: has_task(patch, "missed"))
        hospital.clock.advance_to(at(town.day(9), "09:00"))
        for one in (patch, moved):
            await eventually(lambda one=one: all_ended(one))  # type: ignore[misc]  # mypy can't infer a default's type
    finally:
        await hospital.system.mailbox.start()
    await town.until(at(town.day(17), "09:00"))
    assert [patch.mails, moved.mails] == [[], []]
    assert await patch.ends() == [("P3D", "missed", None), ("P1D", "missed", None)]
    assert ("appointment-change", "missed", None) in await moved.ends()
    assert later.subjects == [REMINDER, REMINDER]


async def is_missed(one: Person, step: str) -> bool:
    return (step, "missed", None) in await one.ends()


async def has_task(one: Person, code: str) -> bool:
    return code in await one.worklist()


async def all_ended(one: Person) -> bool:
    return not {"planned", "claimed", "sending", "held"} & set(await one.states())


async def test_nothing_rots_as_planned_once_it_is_of_no_use(town: Town) -> None:
    silent, gone = await town.patient("Ada", email=None), at(town.day(10), "00:00")
    await town.hospital.tell(silent.booked(at(town.day(9), "11:00")))
    await town.until(at(town.day(2), "10:00"))
    ids = {each["delivery_id"] for each in await silent.deliveries()}
    async with town.hospital.system.notifier.store.read() as connection:
        late = await reconcile(connection, gone, TENANT)
    (overdue,) = [each for each in late.findings if each.code == "overdue"]
    assert ids <= set(overdue.ids)
    await town.until(gone)
    assert await silent.ends() == [("P7D", "missed", "no_address"), ("P1D", "missed", "no_address")]
    report = await town.hospital.of_notifier("/v1/reconciliation")
    assert (report["balanced"], report["findings"]) == (True, [])


async def test_who_wants_no_reminders_still_hears_of_changes_and_can_want_them_again(town: Town) -> None:
    back, never = await town.patient("Ada"), await town.patient("Bela")
    await all_told(
        [back, never], lambda each: each.booked(at(town.day(9), "11:00")), lambda each: each.prefers(reminders=False)
    )
    await town.until(at(town.day(2), "12:00"))
    assert [(await each.ends())[0] for each in (back, never)] == [("P7D", "skipped", "opted_out")] * 2
    assert [back.mails, never.mails] == [[], []]
    await all_told([back, never], lambda each: each.moved(at(town.day(9), "14:00")))
    await town.until(at(town.day(3), "12:00"))
    assert [back.subjects, never.subjects] == [[CHANGED], [CHANGED]]
    await town.hospital.tell(back.prefers())
    await town.until(at(town.day(8), "12:00"))
    assert [back.subjects, never.subjects] == [[CHANGED, REMINDER], [CHANGED]]
    await town.hospital.tell(never.cancelled())
    await town.until(at(town.day(8), "13:00"))
    assert never.subjects == [CHANGED, OFF]


async def test_an_opt_out_is_the_patients_and_not_the_addresss(town: Town) -> None:
    shared = f"family-{town.today}@example.org"
    out, other = await town.patient("Julia", email=shared), await town.patient("Kai", email=shared)
    await all_told([out, other], lambda each: each.booked(at(town.day(9), "11:00")))
    await town.hospital.tell(out.prefers(reminders=False))
    await town.until(at(town.day(2), "12:00"))
    assert (await out.ends())[0] == ("P7D", "skipped", "opted_out")
    assert (await other.ends())[0] == ("P7D", "held", "unverified_address")
    out.contact["email"] = f"julia-{town.today}@example.org"
    await town.hospital.tell(out.registered(name="patient.updated"))
    await town.until(at(town.day(8), "12:00"))
    assert other.subjects == [REMINDER, REMINDER]
    assert out.mails == []
    assert ("P1D", "skipped", "opted_out") in await out.ends()


async def test_a_merged_records_mail_goes_to_nobody(town: Town) -> None:
    survivor, retired, claimed = [await town.patient(name) for name in ("Sarah", "Ruthie", "Reba")]
    starts = {"Sarah": at(town.day(9), "11:00"), "Ruthie": at(town.day(9), "13:20"), "Reba": at(town.day(9), "14:40")}
    for one in (survivor, retired, claimed):
        await town.hospital.tell(one.agrees(), one.booked(starts[one.contact["given_name"]]))
    await town.hospital.heard()
    producer = Producer(town.hospital)
    into: dict[str, Any] = {"status": PatientStatus.MERGED, "merged_into": survivor.id}
    town.hospital.claimed[claimed.id] = lambda: producer.publish(producer.patient(claimed, 2, "patient.merged", **into))
    await producer.publish(producer.patient(retired, 2, "patient.merged", **into))
    await town.until(at(town.day(3), "12:00"))
    await all_told([retired, claimed], lambda each: each.cancelled())
    await producer.publish(producer.patient(retired, 1), producer.visit(claimed, starts["Reba"], 1))
    await town.until(at(town.day(10), "12:00"))
    assert [retired.mails, claimed.mails] == [[], []]
    assert set(await retired.ends()) == {("P7D", "cancelled", "merged_record"), ("P1D", "cancelled", "merged_record")}
    assert (await claimed.ends())[0] == ("P7D", "skipped", "merged_record")
    assert survivor.subjects == [REMINDER, REMINDER]
    for mail in survivor.mails:
        everything = f"{mail.source.decode()} {mail.text} {mail.html} {mail.calendar}"
        for other in (retired, claimed):
            assert other.contact["given_name"] not in everything
            assert spoken(starts[other.contact["given_name"]]) not in everything


async def test_nothing_counts_as_finished_that_was_never_sent(town: Town) -> None:
    people = {
        state: await town.patient(state.title()) for state in ("sent", "failed", "skipped", "cancelled", "planned")
    }
    people["held"] = await town.patient(email=None)
    town.hospital.system.mailbox.refuse(people["failed"].address, "550 5.1.1 No such mailbox")
    await town.hospital.tell(people["skipped"].prefers(reminders=False))
    for state, one in people.items():
        await town.hospital.tell(one.booked(at(town.day(12 if state == "planned" else 9), "11:00")))
    await town.until(at(town.day(1), "12:00"))
    before = await town.hospital.of_notifier("/v1/reconciliation")
    await town.hospital.tell(people["cancelled"].cancelled())
    await town.until(at(town.day(2), "12:00"))
    after = await town.hospital.of_notifier("/v1/reconciliation")
    first = {state: [end for end in await one.ends() if end[0] == "P7D"] for state, one in people.items()}
    assert {state: ends[0][1] for state, ends in first.items()} == {state: state for state in people}
    assert {state for state, one in people.items() if one.mails} == {"sent", "cancelled"}
    grown = change(before["programs"], after["programs"])
    assert grown == {"sent": 2, "held": 1, "failed": 1, "skipped": 1, "cancelled": 2, "planned": -6}
    assert after["balanced"]
    assert "balanced" in after["total"]


def change(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> dict[str, int]:
    """How each state's count has changed, of all programs together."""
    counts = Counter(after[0]["states"])
    counts.subtract(before[0]["states"])
    return {state: count for state, count in counts.items() if count}
