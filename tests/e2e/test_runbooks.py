"""What runbooks tell an operator to do, as it is written there, on real processes and servers."""

import base64
import json
import re
import secrets
import shlex
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer
from sqlalchemy import select, text

from chassis.outbox import Message
from schemas.outcomes import Kind
from schemas.registry import EVENT_TYPES, INTAKE_EVENTS
from services.notifier.tables import consumer, deliveries
from tests.support.cli import Said, Terminal
from tests.support.eventually import eventually
from tests.support.installation import PATIENCE, TENANT, Installation
from tests.support.installing import installed
from tests.support.intake import CEDARS
from tests.support.kafka import publish
from tests.support.processes import ROOT, ServiceProcess
from tests.support.read_by import is_read
from tests.support.servers import CRASHES_SERVERS, Pair

pytestmark = [*CRASHES_SERVERS, pytest.mark.timeout(400)]


def words(page: str, begins: str) -> list[str]:
    """Those of the one command, question or answer on a page of ``docs/runbooks`` that begins so."""
    whole = " ".join((ROOT / "docs" / "runbooks" / f"{page}.md").read_text().replace("```", "").split())
    [found] = {each for each in re.findall(r"`([^`]+)`", whole) if re.match(re.escape(begins) + r"(?!\w)", each)}
    return found.split() if "'" in found else shlex.split(found)


def written(page: str, begins: str, **values: str) -> list[str]:
    """``words``, with ``values`` put in for their capitals; of a command, its arguments."""
    found = [values.get(each, each) for each in words(page, begins)]
    return found[1:] if found[0] == "upright" else found


async def typed(installation: Installation, *arguments: str, answer: str = "y\n") -> Said:
    """At a terminal that has both services' settings."""
    env = {**installation.intake.env, **installation.notifier.env}
    return await Terminal(dict(env)).beside(*arguments, typed=answer)


async def has_read_all(installation: Installation) -> bool:
    """Whether intake has relayed everything, and the notifier has read it."""
    if not await installation.relayed():
        return False
    async with AIOKafkaConsumer(bootstrap_servers=installation.pair.kafka.bootstrap) as client:
        store = installation.stores["notifier"]
        return await is_read(client, INTAKE_EVENTS, store, consumer.positions, installation.notifier.group)


async def nothing_was_sent_twice(installation: Installation, patients: list[str]) -> None:
    await eventually(lambda: has_read_all(installation), within=PATIENCE)
    await eventually(lambda: installation.finished(patients), within=PATIENCE)
    assert installation.mails() == dict.fromkeys(patients, 1)
    said = await typed(installation, *written("ledger", "upright notifier reconcile"))
    assert (said.status, said.out.split()[-1]) == (0, "balanced")


async def test_replay(pair: Pair, tmp_path: Path) -> None:
    began = datetime.now(UTC)
    async with installed(pair, tmp_path) as installation:
        pair.up()
        await installation.open()
        patients = await installation.poster.book(3)
        await eventually(lambda: installation.finished(patients), within=PATIENCE)
        rewind = written("replay", "upright topics rewind notifier.intake", **{
            "2027-03-01T00:00-08:00": began.isoformat()
        })  # fmt: skip
        refused = await typed(installation, *rewind)
        assert refused.err.strip() == " ".join(written("replay", "notifier.intake is being read:"))
        await installation.notifier.stop()

        async def is_rewound() -> Said | None:
            said = await typed(installation, *rewind)
            return None if said == refused else said

        said = await eventually(is_rewound, within=PATIENCE)
        assert re.search(r"^notifier.intake was set back by [1-9]\d* records.$", said.out, re.MULTILINE), said
        for group in ("notifier.requests", "notifier.digests"):
            also = written("restore", f"upright topics rewind {group}", TIME=began.isoformat())
            assert (await typed(installation, *also)).out.endswith(f"{group} was set back by 0 records.\n")
        late = await installation.poster.book(1)
        await started(installation.notifier)
        await nothing_was_sent_twice(installation, patients + late)

        republish = written("replay", "upright intake republish")
        assert (await typed(installation, *republish)).out.startswith("12 states are in the outbox"), "three of each"
        one = written("replay", "--patient", ID=patients[0], TENANT=TENANT)
        assert (await typed(installation, *republish, *one)).out.startswith("3 states are in the outbox")
        await nothing_was_sent_twice(installation, patients + late)


async def test_keys(pair: Pair, tmp_path: Path) -> None:
    """A ring's key is changed in the right order, and then in the wrong one."""
    async with installed(pair, tmp_path) as installation:
        pair.up()
        await installation.open()
        intake, notifier = installation.intake, installation.notifier
        first = await installation.poster.book(2)
        ring = json.loads(intake.env["INTAKE_CONTACT"])
        ring["keys"]["k2"] = new_key()
        await restarted(notifier, NOTIFIER_CONTACT=ring)
        await restarted(intake, INTAKE_CONTACT={**ring, "active": "k2"})
        second = await installation.poster.book(2)
        del ring["keys"]["k1"]
        await eventually(lambda: has_read_all(installation), within=PATIENCE)
        await nothing_was_sent_twice(installation, first + second)

        ring = {"active": "k3", "keys": {**ring["keys"], "k3": new_key()}}
        await restarted(intake, INTAKE_CONTACT=ring)
        third = await installation.poster.book(2)
        await eventually(lambda: has_read_all(installation), within=PATIENCE)
        assert await installation.dead_letters() == 4, "the contact and the care block of each"
        listed = await typed(installation, *written("dead-letters", "upright dead-letters list"))
        assert listed.out.count("cannot_open") == 4
        letter = re.search(r"notifier\.intake/\d+", listed.out)
        assert letter is not None
        show = written("dead-letters", "upright dead-letters show", **{"GROUP/ID": letter[0]})
        assert "cannot_open" in (await typed(installation, *show)).out
        await restarted(notifier, NOTIFIER_CONTACT=ring)
        redriven = await typed(installation, *written("keys", "upright dead-letters redrive"))
        assert redriven.status == 0, redriven
        await nothing_was_sent_twice(installation, first + second + third)


async def test_looking_and_pausing(pair: Pair, tmp_path: Path) -> None:
    async with installed(pair, tmp_path) as installation:
        pair.up()
        new = written("keys", "upright api-key new", TENANT=TENANT, ROLE="operator", NAME="night")
        made = await typed(installation, *new, "--role", "staff")
        key, setting = made.out.split()
        notifier = installation.notifier
        notifier.env = {
            **notifier.env, "NOTIFIER_HTTP__API_KEYS": f"[{setting}]",
            "UPRIGHT_NOTIFIER_URL": notifier.url, "UPRIGHT_API_KEY": key,
        }  # fmt: skip
        await installation.open()
        sent = await installation.poster.book(1)
        await eventually(lambda: installation.finished(sent), within=PATIENCE)

        paused = await typed(installation, *written("pausing", "upright pause", CODE=CEDARS))
        assert paused.out.split() == written("pausing", "Paused. All mail of CODE:", **{"CODE:": f"{CEDARS}:"})
        held = await installation.poster.book(1)
        await eventually(lambda: is_held(installation, held), within=PATIENCE)
        assert (
            "the phone number in its mails is wrong"
            in (await typed(installation, *written("pausing", "upright pauses"))).out
        )
        why = written("ledger", "upright why", DELIVERY_ID=await delivery_of(installation, held[0]))
        assert "Held. The program is paused." in (await typed(installation, *why)).out
        resumed = await typed(installation, *written("pausing", "upright resume", CODE=CEDARS))
        assert resumed.out.startswith("Resumed."), resumed
        await nothing_was_sent_twice(installation, sent + held)

        await publish(installation.pair.kafka, [unreadable(sent[0])])
        await eventually(installation.dead_letters, within=PATIENCE)
        listed = await typed(installation, *written("dead-letters", "upright dead-letters list"))
        letter = {"GROUP/ID": listed.out.split()[0]}
        show = written("dead-letters", "upright dead-letters show", **letter) + written("dead-letters", "--payload")
        assert '{"nonsense"' in (await typed(installation, *show)).out
        dismiss = written("dead-letters", "upright dead-letters dismiss", **letter, **{"…": "Asked at the desk"})
        assert (await typed(installation, *dismiss)).status == 0
        assert (await typed(installation, *dismiss)).status == 1, "it is no longer open"

        again = written("arming", "upright notifier arm", TENANT=TENANT, **{
            "2027-03-01T00:00-08:00": datetime.now(UTC).isoformat()
        })  # fmt: skip
        assert (await typed(installation, *again)).out.startswith("Armed. ")
        for page, command in (
            ("outages", "upright doctor"), ("outages", "upright topics check"), ("outages", "upright topics apply"),
            ("mail-stuck", "upright programs check"), ("mail-stuck", "upright programs apply"),
            ("restore", "upright notifier migrate"),
        ):  # fmt: skip
            said = await typed(installation, *written(page, command))
            assert said.status == 0, (command, said)
        await nothing_was_sent_twice(installation, sent + held)


def unreadable(patient_id: str) -> Message:
    """An event of theirs whose data is none."""
    names = {
        "specversion": "1.0", "id": "made-up", "source": "https://intake.example.org/test", "tenant": TENANT,
        "type": EVENT_TYPES["enrolment.opened"].wire, "subject": f"enrolment/{patient_id}",
        "time": "2027-03-01T08:00:00Z", "partitionkey": patient_id,
    }  # fmt: skip
    headers = tuple((f"ce_{name}", value.encode()) for name, value in names.items())
    return Message(INTAKE_EVENTS, patient_id.encode(), headers, b'{"nonsense"')


async def test_questions_to_a_database(pair: Pair, tmp_path: Path) -> None:
    """They name the tables and columns that there are."""
    async with installed(pair, tmp_path) as installation:
        pair.up()
        await installation.open()
        patients = await installation.poster.book(1)
        await eventually(lambda: installation.finished(patients), within=PATIENCE)
        for page, table, rows in (
            ("outbox", "topic", 0), ("outbox", "*", 1), ("uncertain", "delivery_id", 0), ("smtp", "verdict", 1),
            ("restore", "kind", 0),
        ):  # fmt: skip
            asked = " ".join(words(page, f"select {table}")).replace("TIME", "now()")
            async with installation.stores["notifier"].read() as connection:
                assert len((await connection.execute(text(asked))).all()) == rows, asked


async def is_held(installation: Installation, patients: list[str]) -> bool:
    states = await installation.states()
    return [states.get(each) for each in patients] == ["held"]


async def delivery_of(installation: Installation, patient_id: str) -> str:
    mine = (deliveries.c.patient_id == patient_id) & (deliveries.c.kind == Kind.LATE_BOOKING)
    async with installation.stores["notifier"].read() as connection:
        return str((await connection.execute(select(deliveries.c.delivery_id).where(mine))).scalar_one())


def new_key() -> str:
    return base64.b64encode(secrets.token_bytes(32)).decode()


async def restarted(process: ServiceProcess, **settings: object) -> None:
    await process.stop()
    process.env = {**process.env, **{name: json.dumps(value) for name, value in settings.items()}}
    await started(process)


async def started(process: ServiceProcess) -> None:
    await process.start()
    await process.ready()
