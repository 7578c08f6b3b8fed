"""Records that can't be handled hold up nobody but their own patient, and that patient's mail until somebody decides.

On the real topic, beside what real intake publishes; in one shared system, with patients of each test's own.
"""

import base64
import json
import secrets
import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from aiokafka.partitioner import murmur2
from pydantic import create_model

from chassis.dead_letters import LetterState
from chassis.errors import Permanent
from chassis.outbox import Message
from chassis.redrive import StoredLetter, dismiss, list_letters, redrive
from chassis.sealing import Keyring
from schemas.base import Contract
from schemas.registry import INTAKE_EVENTS
from schemas.topics import TOPICS
from services.notifier.handlers import USES, IntakeHandlers
from services.notifier.tables import consumer
from services.trials.tables import consumer as trials_consumer
from tests.support.hospital import TENANT, Person, Town, at, spoken
from tests.support.producer import Producer

pytestmark = pytest.mark.asyncio(loop_scope="module")

REMINDER = "Appointment reminder"
HELD = ("P7D", "held", "truth_incomplete")
SENT = ("P7D", "sent", None)


def partition(patient_id: str) -> int:
    return int((murmur2(patient_id.encode()) & 0x7FFFFFFF) % TOPICS[INTAKE_EVENTS].partitions)


def beside(patient_id: str) -> str:
    """The id of another patient on the same partition."""
    while partition(other := str(uuid.uuid4())) != partition(patient_id):
        pass
    return other


async def two(town: Town, name: str) -> tuple[Person, Person]:
    """A patient and a neighbour on the same partition, both with a visit on ``day(9)``."""
    one = await town.patient(name)
    neighbour = await town.patient(patient_id=beside(one.id))
    for each in (one, neighbour):
        await town.hospital.tell(each.booked(at(town.day(9), "11:00")))
    return one, neighbour


async def letters(town: Town, one: Person, state: LetterState | None = LetterState.OPEN) -> Sequence[StoredLetter]:
    async with town.hospital.system.notifier.store.read() as connection:
        found = await list_letters(connection, consumer.dead_letters, None, state=state, limit=1000)
    return [each for each in found if each.letter.key == one.id]


async def again(town: Town, one: Person, handlers: IntakeHandlers | None = None) -> LetterState:
    """Redrive the patient's open letter, as ``upright dead-letters redrive`` does."""
    (letter,) = await letters(town, one)
    notifier = town.hospital.system.notifier
    own = handlers or notifier.handlers
    return await redrive(
        notifier.store, consumer.dead_letters, None, letter.id, uses=USES, apply=own.apply, released=own.released
    )


async def let_go(town: Town, one: Person) -> None:
    """In each service: who couldn't read the record has a letter of its own."""
    system = town.hospital.system
    for service, tables in ((system.notifier, consumer), (system.trials, trials_consumer)):
        async with service.store.read() as connection:
            found = await list_letters(connection, tables.dead_letters, None, state=LetterState.OPEN, limit=1000)
        (letter,) = [each for each in found if each.letter.key == one.id]
        await dismiss(
            service.store, tables.dead_letters, None, letter.id, "sent again by hand",
            released=service.handlers.released,
        )  # fmt: skip


def with_header(message: Message, name: str, value: bytes | None) -> Message:
    """Another value for a header, or (None) the record without it."""
    kept = [(key, given) for key, given in message.headers if key != name]
    return replace(message, headers=(*kept, *([(name, value)] if value is not None else [])))


def header(message: Message, name: str) -> bytes:
    return next(value for key, value in message.headers if key == name and value is not None)


def with_data(message: Message, **changes: Any) -> Message:
    return replace(message, value=json.dumps(json.loads(message.value or b"") | changes).encode())


def next_major(message: Message) -> Message:
    return with_header(message, "ce_type", header(message, "ce_type").replace(b".v1", b".v9"))


async def test_a_poison_record_holds_its_own_patients_mail_until_somebody_decides(town: Town) -> None:
    producer, new_key = Producer(town.hospital), Keyring({"k2": (key := secrets.token_bytes(32))}, "k2")
    broken, unknown, locked, overtaken = [await two(town, name) for name in ("Ada", "Bela", "Cora", "Dana")]
    new = at(town.day(12), "14:00")
    await town.hospital.heard()
    await producer.publish(
        replace(producer.visit(broken[0], new, 2), value=b"{not JSON"),
        next_major(producer.visit(unknown[0], new, 2)),
        producer.visit(locked[0], new, 2, ring=new_key),
        producer.visit(overtaken[0], new, 2, ring=new_key),
    )
    await town.until(at(town.day(2), "10:00"))
    for one, neighbour in (broken, unknown, locked, overtaken):
        assert neighbour.subjects == [REMINDER]
        assert (await one.ends())[0] == HELD
        assert set(await one.worklist()) == {"truth_incomplete"}
        assert one.mails == []
    found = [(await letters(town, one))[0].letter for one, _ in (broken, unknown, locked, overtaken)]
    assert [each.reason for each in found] == ["bad_payload", "unknown_major", "cannot_open", "cannot_open"]
    assert {(each.event, each.tenant) for each in found} == {("appointment.rescheduled", TENANT)}

    for one in (broken[0], unknown[0]):
        with pytest.raises(Permanent):
            await again(town, one)
        await town.until(at(town.day(2), "12:00"))
        assert (await one.ends())[0] == HELD
        await let_go(town, one)
    k1 = base64.b64decode(town.hospital.system.keys.rings["contact"]["keys"]["k1"])
    taught = replace(town.hospital.system.notifier.handlers, ring=Keyring({"k1": k1, "k2": key}, "k1"))
    assert await again(town, locked[0], taught) is LetterState.REDRIVEN
    await town.hospital.tell(overtaken[0].edited("Demo Clinician 2"))
    await town.hospital.tell(overtaken[0].edited("Demo Clinician 3"))
    await town.until(at(town.day(2), "12:30"))
    assert HELD in await overtaken[0].ends()
    assert await again(town, overtaken[0], taught) is LetterState.SUPERSEDED

    await town.until(at(town.day(5), "12:00"))
    for one in (broken[0], unknown[0], overtaken[0]):
        assert one.subjects == [REMINDER]
        assert spoken(at(town.day(9), "11:00")) in one.text
    assert locked[0].subjects == [REMINDER]
    assert spoken(new) in locked[0].text
    for one, _ in (broken, unknown, locked, overtaken):
        assert await one.worklist() == []
        assert await letters(town, one) == []


class _Person(Contract):
    """A contact block as nobody may make it."""


_Loose = create_model(
    "ContactBlock", __base__=_Person, given_name=(str, ...), family_name=(str, ...), birth_date=(str, ...),
    email=(str, ...), email_verified_at=(str, ...),
)  # fmt: skip


def with_contact(town: Town, one: Person, **changes: str) -> Message:
    """A patient's new state, well sealed, whose contact block holds what no producer may write."""
    producer = Producer(town.hospital)
    block = _Loose(**(one.contact | {"email_verified_at": town.now.isoformat()} | changes))
    sealed = producer.ring.seal(block, tenant=TENANT, subject=f"patient/{one.id}")
    return producer.patient(one, 2, contact=sealed)


Spoil = Callable[[Town, Person, Message], Message]
BAD: dict[str, tuple[str, Spoil]] = {
    "no data": ("no_data", lambda _, __, it: replace(it, value=None)),
    "a date without an offset": ("bad_payload", lambda _, __, it: with_data(it, start="2027-03-14T02:30:00")),
    "a date that doesn't exist": ("bad_payload", lambda _, __, it: with_data(it, start="2027-02-30T09:00:00Z")),
    "a zone with a line feed": ("bad_payload", lambda _, __, it: with_data(it, zone="America/Los_Angeles\n")),
    "no version": ("bad_payload", lambda _, __, it: with_data(it, version=0)),
    "too much of it": ("too_large", lambda _, __, it: with_data(it, more="x" * 70_000)),
    "no id": ("bad_envelope", lambda _, __, it: with_header(it, "ce_id", None)),
    "a header that isn't text": ("bad_header", lambda _, __, it: with_header(it, "ce_subject", b"\xff\xfe")),
    "a header twice": ("bad_header", lambda _, __, it: replace(it, headers=(*it.headers, *it.headers))),
    "data that isn't JSON by its header": (
        "bad_content_type", lambda _, __, it: with_header(it, "content-type", b"text/html"),
    ),
    "another's key": ("key_mismatch", lambda _, __, it: with_header(it, "ce_partitionkey", str(uuid.uuid4()).encode())),
    "an address with CR LF": (
        "bad_block", lambda town, one, _: with_contact(town, one, email="a@example.org\r\nBcc: b@example.org"),
    ),
    "a name that turns the text around": (
        "bad_block", lambda town, one, _: with_contact(town, one, given_name="\u202eana"),
    ),
}  # fmt: skip


async def test_bad_input_on_kafka_is_a_dead_letter_and_a_held_patient_and_nothing_else(town: Town) -> None:
    producer, people = Producer(town.hospital), {what: await two(town, "Ana") for what in BAD}
    new = at(town.day(12), "14:00")
    await town.hospital.heard()
    await producer.publish(*(BAD[what][1](town, one, producer.visit(one, new, 2)) for what, (one, _) in people.items()))
    await town.until(at(town.day(2), "10:00"))
    assert {what: [each.letter.reason for each in await letters(town, one)] for what, (one, _) in people.items()} == {
        what: [reason] for what, (reason, _) in BAD.items()
    }
    assert {what: ((await one.ends())[0], one.mails) for what, (one, _) in people.items()} == dict.fromkeys(
        BAD, (HELD, [])
    )
    assert {what: neighbour.subjects for what, (_, neighbour) in people.items()} == {what: [REMINDER] for what in BAD}


async def test_what_is_old_repeated_anothers_or_unreadable_changes_nothing(town: Town) -> None:
    producer, start = Producer(town.hospital), at(town.day(9), "11:00")
    old, elsewhere = (await two(town, "Ada"))[0], (await two(town, "Bela"))[0]
    await town.hospital.tell(old.edited("Demo Clinician 2"))
    await town.hospital.heard()
    other = with_header(producer.visit(elsewhere, at(town.day(12), "14:00"), 9), "ce_tenant", b"kaiser")
    first = producer.visit(old, at(town.day(12), "14:00"), 1, patient_told_at=None)
    await producer.publish(first, first, replace(first, key=b"\xff\xfe"), other)
    await town.until(at(town.day(8), "12:00"))
    for one in (old, elsewhere):
        assert await one.ends() == [SENT, ("P1D", "sent", None)]
        assert one.text.count(spoken(start)) == 2
    assert await letters(town, old) == []
    assert [each.letter.tenant for each in await letters(town, elsewhere)] == ["kaiser"]
