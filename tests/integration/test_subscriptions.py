"""Matches become reports on a real store: once, in order, under a pseudonym, and no more than may be told."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from chassis.errors import Unavailable
from chassis.scope import Scope
from chassis.settings import StoreSettings
from schemas.criteria import Criterion, Eligibility, Kind
from schemas.expressions import Fact, Op
from schemas.patient import ConsentDecision, PatientStatus
from schemas.registry import TRIALS_DIGESTS, TRIALS_OUTCOMES
from schemas.trials import RecruitmentStatus, TrialSite
from services.trials.subscription import Channel, Filter
from services.trials.subscriptions.desk import Wanted
from services.trials.subscriptions.posted import within
from services.trials.tables import reports, revisions, subscriptions
from services.trials.tables import told as told_table
from tests.support.coordinating import CVF, FISTULA, Room, coordinators
from tests.support.research import Research, research
from tests.support.subscribing import carried, everything_told, follow, match_events, subscribe, told

UNSURE = {name: value for name, value in FISTULA.items() if name != "pregnant"}


@pytest.fixture
async def desk(store_settings: StoreSettings) -> AsyncIterator[Research]:
    async with research(store_settings) as one:
        yield one


@pytest.fixture
async def room(desk: Research) -> AsyncIterator[Room]:
    async with coordinators(desk) as one:
        yield one


async def summaries(desk: Research) -> None:
    await desk.work()
    await follow(desk)
    while await desk.trials.subscribed.summaries.wave():
        pass


def names(log: list[dict[str, Any]]) -> list[str]:
    return [each["type"].removeprefix("report.") for each in log]


# what is told


async def test_a_match_is_told_once_with_its_sentences_and_no_value(desk: Research, room: Room) -> None:
    await desk.publish(CVF)
    mine = await subscribe(room)
    grace = await desk.admit(**FISTULA)
    assert (await follow(desk), await follow(desk)) == (0, 1)
    (report,) = await told(room, mine["subscription_id"])
    assert (report["type"], report["sequence"], report["registry_id"]) == ("report.found", 1, CVF)
    assert (report["verdict"], report["criteria_version"]) == ("eligible", "1.0")
    assert {each["criterion_id"]: each["outcome"] for each in report["criteria"]}["i4"] == "met"
    assert {each["outcome"] for each in report["criteria"]} == {"met"}
    assert grace not in str(report)
    assert len(report["pseudonym"]) == 32


async def test_what_is_not_known_is_told_as_to_be_asked_and_then_as_met(desk: Research, room: Room) -> None:
    await desk.publish(CVF)
    mine = await subscribe(room)
    hana = await desk.admit(**UNSURE)
    await desk.hear(desk.facts(hana, "visit", pregnant=False))
    await follow(desk)
    first, second = await told(room, mine["subscription_id"])
    assert [(each["type"], each["verdict"]) for each in (first, second)] == [
        ("report.found", "possible"), ("report.changed", "eligible"),
    ]  # fmt: skip
    unknown = [each["criterion_id"] for each in first["criteria"] if each["outcome"] == "not-known"]
    assert unknown == ["e1"]
    assert first["pseudonym"] == second["pseudonym"]


async def test_replayed_and_reordered_matches_tell_nothing_twice_and_nothing_old(desk: Research, room: Room) -> None:
    await desk.publish(CVF)
    mine = await subscribe(room)
    hana = await desk.admit(**UNSURE)
    await desk.hear(desk.facts(hana, "visit", pregnant=False))
    first, second = await match_events(desk)
    assert [await follow(desk, each) for each in (second, first, second)] == [0, 1, 1]
    assert names(await told(room, mine["subscription_id"])) == ["found"]


async def test_two_coordinators_know_one_patient_by_two_names(desk: Research, room: Room) -> None:
    await desk.publish(CVF)
    hers, his = await subscribe(room), await subscribe(room, who="bo")
    await desk.admit(**FISTULA)
    await follow(desk)
    (one,), (other,) = await told(room, hers["subscription_id"]), await told(room, his["subscription_id"], "bo")
    assert one["pseudonym"] != other["pseudonym"]


async def test_a_match_that_leaves_the_filter_is_withdrawn_from_it_alone(desk: Research, room: Room) -> None:
    await desk.publish(CVF)
    sure, any_ = await subscribe(room, least="eligible"), await subscribe(room)
    hana = await desk.admit(**FISTULA)
    desk.clock.advance_to(desk.clock.now() + timedelta(minutes=1))
    await desk.hear(desk.facts(hana, **UNSURE))
    await follow(desk)
    assert names(await told(room, any_["subscription_id"])) == ["found", "changed"]
    found, gone = await told(room, sure["subscription_id"])
    assert (found["type"], gone["type"], gone["withdrawn"]) == ("report.found", "report.withdrawn", "outside_filter")
    assert "criteria" not in gone or gone["criteria"] == []


async def test_a_filter_lets_through_its_trials_and_places_alone(desk: Research, room: Room) -> None:
    place = TrialSite(city="Los Angeles", state="California", status=RecruitmentStatus.RECRUITING)
    await desk.publish(CVF, sites=(place,))
    wanted: list[dict[str, Any]] = [
        {"trials": [CVF]}, {"trials": ["TEST-ICHD-1"]}, {"sites": ["california"]}, {"sites": ["Reno"]},
        {"programs": [desk.program]},
    ]  # fmt: skip
    made = [await subscribe(room, **each) for each in wanted]
    await desk.admit(**FISTULA)
    await follow(desk)
    heard = [names(await told(room, each["subscription_id"])) for each in made]
    assert heard == [["found"], [], ["found"], [], ["found"]]


async def test_a_match_that_moves_to_another_program_is_withdrawn_where_only_the_first_is_heard(
    desk: Research, room: Room
) -> None:
    await desk.publish(CVF)
    mine = await subscribe(room, programs=[desk.program])
    await desk.admit(**FISTULA)
    (found,) = await match_events(desk)
    moved = found.data.model_copy(update={"program": "elsewhere", "version": 2})
    handlers = desk.trials.subscribed.handlers
    offers = {**handlers.offers, "elsewhere": handlers.offers[desk.program]}
    async with desk.trials.store.write() as connection:
        await replace(handlers, offers=offers).apply(connection, [found, replace(found, data=moved)])
    assert names(await told(room, mine["subscription_id"])) == ["found", "withdrawn"]


@pytest.mark.parametrize("what", ["death", "consent", "restriction"])
async def test_what_is_about_the_person_is_withdrawn_without_a_reason_and_explanations_go(
    desk: Research, room: Room, what: str
) -> None:
    await desk.publish(CVF)
    mine = await subscribe(room)
    grace = await desk.admit(**FISTULA)
    await follow(desk)
    desk.clock.advance_to(desk.clock.now() + timedelta(minutes=1))
    await desk.hear({
        "death": lambda: desk.patient(grace, status=PatientStatus.DECEASED),
        "consent": lambda: desk.consent(grace, ConsentDecision.DENY),
        "restriction": lambda: desk.patient(grace, status=PatientStatus.RESTRICTED),
    }[what]())  # fmt: skip
    await follow(desk)
    first, gone = await told(room, mine["subscription_id"])
    assert (gone["type"], gone.get("withdrawn"), gone.get("verdict")) == ("report.withdrawn", None, None)
    assert gone["pseudonym"] == first["pseudonym"]
    assert (first.get("criteria", []), first.get("verdict")) == ([], None)


async def test_who_was_never_told_of_is_not_withdrawn(desk: Research, room: Room) -> None:
    await desk.publish(CVF)
    mine = await subscribe(room, least="eligible")
    hana = await desk.admit(**UNSURE)
    await desk.hear(desk.patient(hana, status=PatientStatus.DECEASED))
    await follow(desk)
    assert await told(room, mine["subscription_id"]) == []


async def test_who_subscribes_is_told_of_what_stands_and_hears_of_it_no_second_time(desk: Research, room: Room) -> None:
    await desk.publish(CVF)
    hana, _ivan = await desk.admit(**UNSURE), await desk.admit(consents=False, **FISTULA)
    gone = await desk.admit(**FISTULA)
    await desk.hear(desk.patient(gone, status=PatientStatus.DECEASED))
    mine = await subscribe(room)
    assert names(await told(room, mine["subscription_id"])) == ["found"]
    await follow(desk)
    assert names(await told(room, mine["subscription_id"])) == ["found"]
    await desk.hear(desk.facts(hana, "visit", pregnant=False))
    await follow(desk)
    assert names(await told(room, mine["subscription_id"])) == ["found", "changed"]


async def test_who_subscribes_after_a_trial_was_closed_and_opened_again_is_told_of_each_that_stands(
    desk: Research, room: Room
) -> None:
    await desk.publish(CVF)
    gone = [await desk.admit(**FISTULA), await desk.admit(**FISTULA)]
    desk.clock.advance_to(desk.clock.now() + timedelta(minutes=1))
    await desk.admit(**FISTULA)
    await desk.publish(CVF, status=RecruitmentStatus.TERMINATED)
    await desk.work()
    for each in gone:
        await desk.hear(desk.facts(each, **{**FISTULA, "anticoagulated": True}))
    await desk.publish(CVF)
    await desk.work()
    assert [await desk.pairs(each) for each in gone] == [{CVF: "(trial_closed)"}] * 2
    mine = await subscribe(room)
    assert names(await told(room, mine["subscription_id"])) == ["found"]


# changed trials


def easier(*wanted: str) -> Eligibility:
    """Whoever has one of these leak types."""
    asked = Fact(fact="leak-type", op=Op.IN, value=wanted)
    return Eligibility(criteria=(Criterion(id="i1", kind=Kind.INCLUSION, text="Leak type", expression=asked),))


async def test_what_a_changed_trial_moves_is_one_summary_and_later_matches_are_told_singly(
    desk: Research, room: Room
) -> None:
    await desk.publish(CVF, easier("type-3"))
    mine = await subscribe(room)
    await desk.work()
    third, _second = await desk.admit(leak_type="type-3"), await desk.admit(leak_type="type-2")
    await follow(desk)
    await desk.publish(CVF, easier("type-2"))
    await desk.work()
    await follow(desk)
    assert names(await told(room, mine["subscription_id"])) == ["found"]
    await summaries(desk)
    *_, summary = await told(room, mine["subscription_id"])
    assert (summary["type"], summary["summary"]) == ("report.summary", {"found": 1, "withdrawn": 1})
    assert (summary["criteria_version"], summary.get("pseudonym")) == ("2.0", None)
    await desk.admit(leak_type="type-2")
    await desk.hear(desk.patient(third, status=PatientStatus.DECEASED))
    await summaries(desk)
    assert names(await told(room, mine["subscription_id"])) == ["found", "summary", "found"]


async def test_a_summary_waits_until_all_patients_are_compared_and_all_of_it_was_followed(
    desk: Research, room: Room
) -> None:
    await desk.publish(CVF, easier("type-3"))
    mine = await subscribe(room)
    await desk.work()
    for kind in ("type-3", "type-2", "type-2"):
        await desk.admit(leak_type=kind)
    await follow(desk)
    await desk.publish(CVF, easier("type-2"))
    await desk.work()
    events = await match_events(desk)
    await follow(desk, *events[:-1])
    assert await desk.trials.subscribed.summaries.wave() == 0
    await follow(desk, events[-1])
    assert await desk.trials.subscribed.summaries.wave() == 1
    assert await desk.trials.subscribed.summaries.wave() == 0
    assert (await told(room, mine["subscription_id"]))[-1]["summary"] == {"found": 2, "withdrawn": 1}


async def test_a_summary_waits_for_patients_who_are_not_compared_yet(desk: Research, room: Room) -> None:
    await desk.publish(CVF, easier("type-3"))
    mine = await subscribe(room)
    await desk.work()
    early, _late = await desk.admit(leak_type="type-3"), await desk.admit(leak_type="type-3")
    await follow(desk)
    await desk.publish(CVF, easier("type-2"))
    await desk.hear(desk.facts(early, "visit", pregnant=False))
    await follow(desk)
    assert await desk.trials.subscribed.summaries.wave() == 0
    await summaries(desk)
    assert (await told(room, mine["subscription_id"]))[-1]["summary"] == {"withdrawn": 2}


async def test_a_trial_that_a_subscription_does_not_name_leaves_no_trace_in_it(desk: Research, room: Room) -> None:
    await desk.publish(CVF)
    await subscribe(room, trials=["TEST-ICHD-1"])
    await desk.admit(**FISTULA)
    assert await follow(desk) == 1
    async with desk.trials.store.read() as connection:
        assert (await connection.execute(select(told_table))).all() == []


async def test_a_withdrawn_consent_is_told_at_once_though_a_change_is_being_worked_off(
    desk: Research, room: Room
) -> None:
    await desk.publish(CVF, easier("type-3"))
    mine = await subscribe(room)
    await desk.work()
    one, _other = await desk.admit(leak_type="type-3"), await desk.admit(leak_type="type-3")
    await follow(desk)
    await desk.publish(CVF, easier("type-3", "type-2"))
    await desk.admit(leak_type="type-2")
    desk.clock.advance_to(desk.clock.now() + timedelta(minutes=1))
    await desk.hear(desk.consent(one, ConsentDecision.DENY))
    await follow(desk)
    assert names(await told(room, mine["subscription_id"])) == ["found", "found", "withdrawn"]


async def test_a_trial_that_closes_is_told_as_one_summary(desk: Research, room: Room) -> None:
    await desk.publish(CVF)
    mine = await subscribe(room)
    for _ in range(3):
        await desk.admit(**FISTULA)
    await follow(desk)
    await desk.publish(CVF, status=RecruitmentStatus.TERMINATED)
    await summaries(desk)
    log = await told(room, mine["subscription_id"])
    assert names(log) == ["found", "found", "found", "summary"]
    assert log[-1]["summary"] == {"withdrawn": 3}


# digests


async def test_a_digest_counts_a_day_once_in_the_programs_morning_and_is_silent_when_empty(
    desk: Research, room: Room
) -> None:
    await desk.publish(CVF)
    mine = await subscribe(room, "digest", to="ana@research.example.org")
    digests = desk.trials.subscribed.digests
    assert await digests.wave() == 0
    await desk.admit(**FISTULA)
    await follow(desk)
    assert await digests.wave() == 0, "today's was made, and was empty"
    desk.clock.advance_to(datetime(2027, 2, 27, 15, 59, tzinfo=UTC))
    assert await digests.wave() == 0, "07:59 in Los Angeles"
    desk.clock.advance_to(datetime(2027, 2, 27, 16, 0, tzinfo=UTC))
    assert (await digests.wave(), await digests.wave()) == (1, 0)
    (digest,) = await carried(desk, TRIALS_DIGESTS)
    assert (digest["day"], digest["to"], digest["program"]) == ("2027-02-27", "ana@research.example.org", desk.program)
    assert digest["lines"] == [{"registry_id": CVF, "found": 1, "changed": 0, "withdrawn": 0}]
    desk.clock.advance_to(datetime(2027, 2, 28, 18, 0, tzinfo=UTC))
    assert await digests.wave() == 0, "nothing has happened since"
    assert digest["subscription_id"] == mine["subscription_id"]


async def test_a_test_of_a_digest_is_mailed_at_once_and_never_counted(desk: Research, room: Room) -> None:
    mine = await subscribe(room, "digest", to="ana@research.example.org")
    assert (await room.post(f"/v1/subscriptions/{mine['subscription_id']}/test")).status_code == 202
    assert len(await carried(desk, TRIALS_DIGESTS)) == 1
    desk.clock.advance_to(desk.clock.now() + timedelta(days=1))
    assert await desk.trials.subscribed.digests.wave() == 0


# over HTTP


async def test_a_subscription_is_its_owners_alone(desk: Research, room: Room) -> None:
    mine = await subscribe(room)
    path = f"/v1/subscriptions/{mine['subscription_id']}"
    for who in ("bo", "narrow", "other"):
        for each in (path, f"{path}/reports", f"{path}/reports/1", f"{path}/events"):
            assert (await room.get(each, who)).json()["type"] == "urn:upright:problem:no_such_subscription"
        assert (await room.post(f"{path}/test", who=who)).status_code == 404
        assert (await room.http.delete(path, headers=room.headers(who))).status_code == 404
        assert (await room.get("/v1/subscriptions", who)).json() == {"subscriptions": []}
    assert [each["subscription_id"] for each in (await room.get("/v1/subscriptions")).json()["subscriptions"]] == [
        mine["subscription_id"]
    ]
    assert (await room.get(path, "staff")).status_code == 403


async def test_a_key_for_some_programs_subscribes_to_these_alone(desk: Research, room: Room) -> None:
    refused = await room.post(
        "/v1/subscriptions", {"name": "x", "channel": "sse", "programs": [desk.program]}, "narrow"
    )
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["pointer"].startswith("#/programs")
    elsewhere = {"name": "x", "channel": "sse", "programs": [desk.program]}
    assert (await room.post("/v1/subscriptions", elsewhere, "other")).status_code == 422


@pytest.mark.parametrize(
    ("wanted", "allowed", "seen"),
    [(None, None, True), (("a1b2",), None, True), (("a1b2",), {"a1b2", "c3d4"}, True), (None, {"a1b2"}, False),
     (("a1b2", "c3d4"), {"a1b2"}, False)],
)  # fmt: skip
def test_a_key_that_lost_a_program_sees_no_subscription_to_it(
    wanted: tuple[str, ...] | None, allowed: set[str] | None, seen: bool
) -> None:
    scope = Scope("cedars", None if allowed is None else frozenset(allowed))
    assert within(Filter(programs=wanted), scope) is seen


@pytest.mark.parametrize(
    ("posted", "pointer"),
    [
        ({"channel": "webhook"}, "#/url"), ({"channel": "digest"}, "#/to"), ({"url": "https://x.example.org"}, "#/url"),
        ({"channel": "webhook", "url": "https://10.0.0.1/"}, "#/url"), ({"channel": "digest", "to": "no"}, "#/to"),
        ({"channel": "pigeon"}, "#/channel"), ({"least": "unknown"}, "#/least"), ({"more": 1}, "#/more"),
        ({"trials": ["no such"]}, "#/trials/0"), ({"name": ""}, "#/name"),
    ],
)  # fmt: skip
async def test_what_is_wrong_with_a_subscription_is_named(room: Room, posted: dict[str, Any], pointer: str) -> None:
    answer = await room.post("/v1/subscriptions", {"name": "Mine", "channel": "sse", **posted})
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    assert [each["pointer"] for each in answer.json()["errors"]] == [pointer]
    assert "10.0.0.1" not in answer.text


async def test_secrets_are_shown_once_and_kept_sealed(desk: Research, room: Room) -> None:
    url = "https://hooks.example.org/secret-path"
    made = await room.post("/v1/subscriptions", {"name": "Mine", "channel": "webhook", "url": url})
    secret = made.json()["secret"]
    again = await room.get(made.headers["location"])
    assert secret.startswith("whsec_")
    assert "secret" not in again.text
    kept = await everything_told(desk)
    assert secret.encode() not in kept
    assert b"secret-path" not in kept


async def test_an_ended_subscription_leaves_nothing(desk: Research, room: Room) -> None:
    await desk.publish(CVF)
    mine = await subscribe(room)
    await desk.admit(**FISTULA)
    await follow(desk)
    path = f"/v1/subscriptions/{mine['subscription_id']}"
    assert (await room.http.delete(path, headers=room.headers("ana"))).status_code == 204
    async with desk.trials.store.read() as connection:
        for table in (subscriptions, reports, told_table, revisions):
            assert (await connection.execute(select(table))).all() == []
    assert (await room.get(path)).status_code == 404
    assert await follow(desk) == 1


async def test_reports_come_in_pages(desk: Research, room: Room) -> None:
    mine = await subscribe(room)
    path = f"/v1/subscriptions/{mine['subscription_id']}"
    for number in (1, 2, 3):
        assert (await room.post(f"{path}/test")).json()["sequence"] == number
    page = (await room.get(f"{path}/reports?after=1&limit=1")).json()["reports"]
    assert [(each["type"], each["sequence"]) for each in page] == [("report.test", 2)]
    assert (await room.get(f"{path}/reports/3")).json()["sequence"] == 3
    assert (await room.get(f"{path}/reports/4")).status_code == 404


async def test_without_a_broker_nobody_subscribes_to_a_topic(desk: Research, room: Room) -> None:
    answer = await room.post("/v1/subscriptions", {"name": "Mine", "channel": "kafka"})
    assert (answer.status_code, answer.json()["type"]) == (503, "urn:upright:problem:unavailable")
    with pytest.raises(Unavailable):
        await desk.trials.subscribed.desk.subscribe(desk.tenant, "ana", Wanted("x", Channel.KAFKA, Filter()))
    assert (await room.get("/v1/subscriptions")).json() == {"subscriptions": []}


# nobody is named


async def test_a_canary_stands_in_nothing_that_a_coordinator_gets(desk: Research, room: Room) -> None:
    await desk.publish(CVF)
    mine = await subscribe(room)
    canary = await desk.admit(**FISTULA)
    await desk.hear(desk.facts(canary, "visit", opening_pressure=(4.2, "cm[H2O]")))
    await desk.hear(desk.patient(canary, status=PatientStatus.DECEASED))
    await follow(desk)
    over_http = (await room.get(f"/v1/subscriptions/{mine['subscription_id']}/reports")).content
    for kept in (over_http, await everything_told(desk), repr(await carried(desk, TRIALS_OUTCOMES)).encode()):
        for secret in (canary, canary.replace("-", ""), "1986-05-02", "1986", "2025-11-20", "type-3", "4.2"):
            assert secret.encode() not in kept, secret
