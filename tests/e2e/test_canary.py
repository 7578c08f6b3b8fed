"""One patient whose name, address, phone and birth date stand nowhere else: they are in her mail, and nowhere outside
intake's and the notifier's sealed columns. Everything the services keep, publish and log is searched byte by byte.
"""

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from chassis.kafka import client_options
from schemas.trial_files import load_trial_files
from schemas.trials import RecruitmentStatus
from services.trials.desk import Desk
from services.trials.registry.trial import RegistryTrial
from services.trials.store.catalogue import find_trial
from standalone.process import logging_to
from tests.support.hospital import CEDARS, TENANT, Hospital, Person, Town, at, next_morning, open_hospital
from tests.support.research import APPROVAL

TRIAL = "TEST-CVF-1"
CONTACT = {
    "given_name": "Zyxwina", "family_name": "Quackenzot", "birth_date": "1971-03-29",
    "email": "zyxwina.quackenzot@canary.example.org", "phone": "(408) 555-0199",
}  # fmt: skip
CANARY = [b"zyxwina", b"quackenzot", b"canary.example.org", b"555-0199", b"1971-03-29", b"19710329", b"march 29, 1971"]
FACTS: dict[str, Any] = {
    "leak-type": "type-3", "digital-subtraction-myelography": "positive", "blood-patch": [{}],
    "symptom-onset": "2025-11-20", "pregnant": False, "allergies": [], "anticoagulated": False, "embolization": [],
}  # fmt: skip


async def test_a_patients_person_is_in_her_mail_alone(tmp_path: Path) -> None:
    log = tmp_path / "upright.log"
    with logging_to(log):
        async with open_hospital(tmp_path / "data") as hospital:
            town = await next_morning(hospital)
            zyxwina = town.person(**CONTACT)
            zyxwina.contact |= CONTACT
            await subscribe(hospital)
            await publish(hospital)
            await hospital.tell(
                zyxwina.registered(), zyxwina.enrolled(), zyxwina.agrees(), zyxwina.agrees("trial-contact"),
                facts(zyxwina), zyxwina.booked(at(town.day(9), "09:30")),
            )  # fmt: skip
            await live(town)
            assert "Appointment reminder" in zyxwina.subjects
            assert "An update you asked for" in zyxwina.subjects
            assert CANARY[0] in found_in([each.source for each in zyxwina.mails]), "in her mail the search finds her"
            on_topics = [each async for each in records(hospital)]
    stored = [each.read_bytes() for each in (tmp_path / "data").glob("*.db*")]
    assert len(stored) >= 3
    assert any(b"trials.subscription." in each for each in on_topics)
    assert len(on_topics) > 20
    shown = found_in([*on_topics, *stored, log.read_bytes()])
    assert shown == []


def found_in(places: list[bytes]) -> list[bytes]:
    return [canary for canary in CANARY if any(canary in place.lower() for place in places)]


async def live(town: Town) -> None:
    """Until invitation and reminder have gone."""
    await town.until(at(town.day(8), "12:00"))


def facts(person: Person) -> dict[str, Any]:
    told = [
        {"name": name, "value": value, "source": "chart", "observed_at": person.hospital.clock.now().isoformat()}
        for name, value in FACTS.items()
    ]
    return person.event("facts.recorded", person.id, {"patient_id": person.id, "block": {"facts": told}})


async def subscribe(hospital: Hospital) -> None:
    """A topic of a coordinator's own."""
    wanted = {"name": "all of it", "channel": "kafka"}
    url = f"{hospital.system.trials_url}/v1/subscriptions"
    key = {"authorization": f"Bearer {hospital.system.staff_key(CEDARS)}"}
    answer = await hospital.http.post(url, json=wanted, headers=key)
    assert answer.status_code == 201, answer.text


async def publish(hospital: Hospital) -> None:
    """A trial, by one person, let go by another."""
    trials, now = hospital.system.trials, hospital.clock.now()
    desk = Desk(trials.resources.publisher)
    criteria = load_trial_files()[TRIAL].eligibility()
    record = RegistryTrial(
        registry_id=TRIAL, brief_title=TRIAL, overall_status=RecruitmentStatus.RECRUITING, criteria=criteria.criteria
    )
    async with trials.store.write() as connection:
        await desk.take(connection, TENANT, [record], now)
        stored = await find_trial(connection, TENANT, TRIAL)
        assert stored is not None
        approval = APPROVAL.model_copy(update={"valid_until": date(2028, 12, 31)})
        draft = stored.draft.model_copy(update={"eligibility": criteria, "approvals": (approval,)})
        await desk.save(connection, TENANT, draft)
        await desk.publish(connection, TENANT, TRIAL, "one", now)
        await desk.release(connection, TENANT, TRIAL, "another", now)


async def records(hospital: Hospital) -> Any:
    """Topic, key, headers and value of every record of every topic, each as one run of bytes."""
    client = AIOKafkaConsumer(**client_options(hospital.system.kafka), enable_auto_commit=False)
    await client.start()
    try:
        topics = [each for each in await client.topics() if not each.startswith("__")]
        partitions = [TopicPartition(each, n) for each in topics for n in client.partitions_for_topic(each) or ()]
        ends = await client.end_offsets(partitions)
        client.assign([each for each in partitions if ends[each]])
        await client.seek_to_beginning()
        left = set(client.assignment())
        while left:
            for partition, found in (await client.getmany(timeout_ms=1000)).items():
                for each in found:
                    yield partition.topic.encode() + b"".join(pieces(each))
                if found[-1].offset + 1 >= ends[partition]:
                    left.discard(partition)
    finally:
        await client.stop()


def pieces(record: Any) -> Iterator[bytes]:
    yield record.key or b""
    yield record.value or b""
    for name, value in record.headers:
        yield name.encode() + (value or b"")
