"""Trials as a real process on real servers: killed at random, its store, the broker and the notifier too. The same
matches come out; coordinators are told each step once, and nobody is invited twice.
"""

import asyncio
import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from chassis.decoding import Event
from schemas.patient import PatientStatus
from schemas.registry import NOTIFIER_REQUESTS, TRIALS_MATCHES
from schemas.topics import TOPICS
from tests.support.coordinating import Room, coordinators
from tests.support.eventually import eventually
from tests.support.far_end import Followers, Letterbox, newest
from tests.support.lab import PATIENCE, Lab, Name, address_of
from tests.support.labs import lab
from tests.support.servers import CRASHES_SERVERS, Pair, Server
from tests.support.smtp_server import Deed
from tests.support.subscribing import subscribe

pytestmark = [*CRASHES_SERVERS, pytest.mark.timeout(800)]

TRIAL = "TEST-CVF-1"
FISTULA: dict[str, Any] = {
    "leak_type": "type-3", "digital_subtraction_myelography": "positive", "blood_patch": [{}, {}],
    "pregnant": False, "allergies": [], "anticoagulated": False, "embolization": [],
}  # fmt: skip

IDS = [f"00000000-0000-4000-8000-{number:012}" for number in range(16)]
SWINGING, STEADY, NEVER, SILENT, BUSY = IDS[:8], IDS[8:12], IDS[12:14], IDS[14], IDS[15]
"""Whose eligibility comes and goes; who is eligible for good from one turn after the other; never; never asked for
consent; whose mailbox refuses mail for the moment, for good.
"""
DEAD = {SWINGING[1], BUSY}
"""In the last turn."""

TROUBLES: Sequence[Sequence[Server | Name]] = (
    ("trials",), ("notifier",), ("kafka", "trials"), ("postgres",), ("trials",), ("postgres", "trials"),
)  # fmt: skip
"""One for each turn, at any moment of it."""
NOTIFIER_TURN = 1
LAST = len(TROUBLES) - 1


async def test_killed_at_any_moment_it_ends_in_the_same_matches_told_and_mailed_once(
    pair: Pair, tmp_path: Path
) -> None:
    async with lab(pair, tmp_path) as one, coordinators(one.desk) as room:
        followers = await prepare(one, room)
        for turn, troubles in enumerate(TROUBLES):
            if turn == LAST:
                await one.repeat(TOPICS[TRIALS_MATCHES])
                await one.repeat(TOPICS[NOTIFIER_REQUESTS])
            if turn == NOTIFIER_TURN:  # whose last attempt is on the line then stays uncertain
                await eventually(lambda: one.was_put_off(BUSY), within=PATIENCE)
                one.smtp.script("dot", Deed.STALL, recipient=address_of(STEADY[turn]))
            saying = asyncio.create_task(one.say(*news(one, turn)))
            await asyncio.sleep(random.uniform(0.2, 4.0))
            for each in troubles:
                await befall(one, each)
            await saying
        await one.rest()
        found = await matched(one)
        standing = {each: verdict for each, verdict in found.items() if not verdict.startswith("(")}
        assert standing == dict.fromkeys([*SWINGING[3::2], *STEADY], "eligible")
        assert found[BUSY] == "(deceased)"
        told_once_and_in_order(await one.heard(TOPICS[TRIALS_MATCHES]), found)
        await followers.check(one, standing)
        await written_to_once(one, found)
        assert await one.dead_letters() == 0


async def prepare(one: Lab, room: Room) -> Followers:
    """Somebody follows, everybody is in the program, and the trial is released."""
    desk = one.desk
    by_topic, by_http = await subscribe(room, "kafka"), await subscribe(room, "sse")
    await desk.publish(TRIAL)
    await desk.release(TRIAL)
    one.smtp.script("rcpt", "450 4.2.1 mailbox busy", times=None, recipient=address_of(BUSY))
    for each in IDS:
        known = (
            [facts(one, each, 0)] if each in NEVER else []
        )  # of whom nothing is known, that one possibly is eligible
        consents = [] if each == SILENT else [desk.consent(each)]
        await one.say(one.patient(each), desk.enrolment(each), *known, *consents)
    return Followers(room, by_topic["subscription_id"], by_http["subscription_id"])


def news(one: Lab, turn: int) -> list[Event[Any]]:
    """What intake says in this turn: facts of everybody, in the last one deaths after them."""
    said = [facts(one, each, turn) for each in IDS if each not in STEADY[turn + 1 :]]
    deaths = [one.patient(each, status=PatientStatus.DECEASED) for each in sorted(DEAD)] if turn == LAST else []
    return [*said, *deaths]


def facts(one: Lab, patient_id: str, turn: int) -> Event[Any]:
    onset = (one.desk.clock.now() - timedelta(days=400)).date().isoformat()
    return one.desk.facts(patient_id, symptom_onset=onset, **{**FISTULA, "anticoagulated": is_ill(patient_id, turn)})


def is_ill(patient_id: str, turn: int) -> bool:
    """The odd ones of those who swing are well in the last turn."""
    return patient_id in NEVER or (patient_id in SWINGING and (turn + SWINGING.index(patient_id)) % 2 == 1)


async def befall(one: Lab, what: Server | Name) -> None:
    """A kill, and a new start. The notifier has a mail on the line, whose fate nobody will know."""
    match what:
        case "kafka" | "postgres":
            await asyncio.to_thread(one.pair.kill, what)
            await asyncio.to_thread(one.pair.up, what)
        case "notifier":
            await eventually(lambda: one.smtp.stalled, within=PATIENCE)
            await one.kill(what)
            one.smtp.release()
        case "trials":
            await one.kill(what)


async def matched(one: Lab) -> dict[str, str]:
    """Of everybody who ever had a match: the verdict, or in brackets why it is withdrawn."""
    async with one.desk.trials.store.write() as connection:
        await one.desk.trials.resources.catalogue.catch_up(connection)
    pairs = {each: await one.desk.pairs(each) for each in IDS}
    return {each: by_trial[TRIAL] for each, by_trial in pairs.items() if by_trial}


def told_once_and_in_order(told: Sequence[Mapping[str, Any]], found: Mapping[str, str]) -> None:
    """A record may come twice, but says the same then; without repeats a pair's versions count up without a gap."""
    by_match: defaultdict[str, dict[int, Mapping[str, Any]]] = defaultdict(dict)
    for each in told:
        known = by_match[each["patient_id"]].setdefault(each["version"], each)
        assert known == each
        assert max(by_match[each["patient_id"]]) >= each["version"]
    for patient_id, versions in by_match.items():
        assert sorted(versions) == list(range(1, len(versions) + 1))
        last = versions[len(versions)]
        assert (f"({last.get('withdrawn')})" if last.get("withdrawn") else last["verdict"]) == found[patient_id]
    assert by_match.keys() == found.keys()
    assert not by_match.keys() & {*NEVER, SILENT}


async def written_to_once(one: Lab, found: Mapping[str, str]) -> None:
    """Whoever is asked for is written to, but not the dead; and who has been written to was eligible then."""
    requests = newest(await one.heard(TOPICS[NOTIFIER_REQUESTS]))
    box = await Letterbox.empty(one, IDS)
    standing = {each for each, last in requests.items() if last["event"] == "message.requested"}
    box.check(requests.keys(), standing - DEAD)
    assert requests.keys() <= found.keys()
    assert standing >= set(STEADY)
    assert set(STEADY[NOTIFIER_TURN + 1 :]) <= box.having("sent"), "asked for after the notifier's only death"
    assert box.states[BUSY] in ("cancelled", "skipped")
