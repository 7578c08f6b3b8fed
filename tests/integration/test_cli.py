"""``upright``'s commands on a real intake over HTTP, a real broker and real stores."""

import asyncio
import getpass
import json
import os
import re
import socket
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest

from chassis.api_keys import new_api_key
from chassis.dead_letters import bury, letter_of
from chassis.decoding import Record
from chassis.errors import Permanent
from chassis.http_server import HttpServer
from chassis.settings import HttpSettings, KafkaSettings, StoreSettings
from chassis.store import Store
from schemas.registry import INTAKE_EVENTS, NOTIFIER_OUTCOMES
from services.intake import tables as intake_tables
from services.notifier import tables as notifier_tables
from standalone.start_page import example_batch
from tests.support.cli import Terminal, example, intake_env, notifier_env
from tests.support.cli import terminal as terminal
from tests.support.eventually import eventually
from tests.support.intake import CEDARS, Desk, new_id, open_desk
from tests.support.kafka import create_topic, running_broker
from tests.support.relaying import relaying


@pytest.fixture
async def kafka(tmp_path: Path) -> AsyncIterator[KafkaSettings]:
    async with running_broker("embedded", tmp_path) as settings:
        yield settings


@pytest.fixture
async def desk(tmp_path: Path, terminal: Terminal) -> AsyncIterator[Desk]:
    """An intake that listens, to which ``terminal`` may publish."""
    store = StoreSettings(url=f"sqlite:///{tmp_path / 'desk.db'}")
    async with open_desk(store) as opened, listening(opened) as url:
        terminal.env.update({"UPRIGHT_INTAKE_URL": url, "UPRIGHT_API_KEY": opened.tokens["staff"]})
        yield opened


@asynccontextmanager
async def listening(desk: Desk) -> AsyncIterator[str]:
    server = HttpServer(desk.intake.app, HttpSettings(port=0))
    port = await server.start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        await server.stop()


def written(folder: Path, lines: Sequence[dict[str, Any] | str]) -> str:
    file = folder / "events.ndjson"
    file.write_text("\n".join(each if isinstance(each, str) else json.dumps(each) for each in lines) + "\n")
    return str(file)


def patient_of(desk: Desk, patient_id: str) -> list[dict[str, Any]]:
    """A patient's first three events."""
    return [desk.patient(patient_id), desk.enrolment(patient_id), desk.visit(patient_id, new_id())]


async def known(desk: Desk, patient_id: str) -> list[str]:
    """The types of the events that intake took of a patient."""
    answer = await desk.get(f"/v1/patients/{patient_id}/timeline")
    return [each["type"] for each in answer.json().get("entries", ())]


# publish


async def test_a_file_is_published_and_a_second_time_changes_nothing(
    desk: Desk, terminal: Terminal, tmp_path: Path
) -> None:
    patient_id = new_id()
    file = written(tmp_path, ["", *patient_of(desk, patient_id)])
    for _ in range(2):
        said = await terminal.beside("publish", file)
        assert (said.status, said.out) == (0, ""), said
        assert said.err.startswith("3 accepted, 0 refused")
        assert len(await known(desk, patient_id)) == 3


async def test_standard_input_is_published_too(desk: Desk, terminal: Terminal) -> None:
    patient_id = new_id()
    said = await terminal.beside("publish", "-", typed="\n".join(map(json.dumps, patient_of(desk, patient_id))))
    assert said.status == 0
    assert len(await known(desk, patient_id)) == 3


async def test_a_refused_line_is_named_and_holds_back_the_later_lines_of_its_patient_alone(
    desk: Desk, terminal: Terminal, tmp_path: Path
) -> None:
    spoilt, well = new_id(), new_id()
    registered, enrolled, visit = patient_of(desk, spoilt)
    visit["data"]["start"] = "2027-03-16T09:30:00"
    enrolled["data"]["program"] = "zzzz99"  # only intake knows that there is none
    lines: list[dict[str, Any] | str] = ["{no JSON", registered, enrolled, visit, *patient_of(desk, well)]
    said = await terminal.beside("publish", written(tmp_path, lines))
    assert said.status == 1
    assert "line 1: isn't JSON" in said.err
    assert "line 3: /data/program" in said.err
    assert "line 4: /data/start needs an offset from UTC" in said.err
    assert said.err.splitlines()[-1] == "4 accepted, 3 refused"
    assert await known(desk, spoilt) == ["patient.registered"]
    assert len(await known(desk, well)) == 3


async def test_what_comes_after_a_line_that_only_intake_refuses_is_kept_back(
    desk: Desk, terminal: Terminal, tmp_path: Path
) -> None:
    patient_id = new_id()
    registered, enrolled, visit = patient_of(desk, patient_id)
    visit["data"]["zone"] = "America/Nowhere"
    late = desk.visit(patient_id, new_id())
    said = await terminal.beside("publish", written(tmp_path, [registered, enrolled, visit, late]))
    assert said.status == 1
    assert "line 3: /data/zone" in said.err
    assert "2 accepted, 1 refused, 1 not sent because an earlier line of their patient was refused" in said.err
    assert await known(desk, patient_id) == ["patient.registered", "enrolment.opened"]


async def test_a_dry_run_checks_the_lines_and_sends_nothing(desk: Desk, terminal: Terminal, tmp_path: Path) -> None:
    patient_id = new_id()
    first, *others = patient_of(desk, patient_id)
    others[0]["data"]["surprise"] = 1
    file = written(tmp_path, [first, *others])
    said = await Terminal().beside("publish", file, "--dry-run")
    assert said.status == 1
    assert "line 2: /data/surprise is not a field of this event" in said.err
    assert await known(desk, patient_id) == []
    assert Terminal().run("publish", written(tmp_path, [first]), "--dry-run").status == 0


async def test_a_wrong_key_is_said_at_once_and_never_shown(desk: Desk, terminal: Terminal, tmp_path: Path) -> None:
    file = written(tmp_path, patient_of(desk, new_id()))
    key = tmp_path / "key"
    key.write_text("staff.wrong-secret\n")
    said = await terminal.beside("publish", file, "--key-file", str(key))
    assert said.status == 2
    assert "doesn't let this key publish" in said.err
    assert "wrong-secret" not in said.err
    said = await terminal.beside("publish", file, UPRIGHT_API_KEY=desk.tokens["idle"])
    assert said.status == 2
    assert "role publish" in said.err


# topics and tail


async def test_topics_are_missing_then_made_and_a_wrong_number_of_partitions_is_refused(
    kafka: KafkaSettings, terminal: Terminal
) -> None:
    terminal.env.update({"UPRIGHT_KAFKA__BOOTSTRAP": kafka.bootstrap, "UPRIGHT_KAFKA__EMBEDDED": "true"})
    missing = await terminal.beside("topics", "check")
    assert missing.status == 1
    assert f"missing\t{INTAKE_EVENTS}" in missing.out
    made = await terminal.beside("topics", "apply")
    assert made.status == 0
    assert f"created\t{INTAKE_EVENTS}" in made.out
    assert (await terminal.beside("topics", "check")).status == 0


async def test_partitions_are_never_changed(kafka: KafkaSettings, terminal: Terminal) -> None:
    await create_topic(kafka, NOTIFIER_OUTCOMES, partitions=3)
    for command in ("apply", "check"):
        said = await terminal.beside("topics", command, "--kafka", kafka.bootstrap)
        assert said.status == 1
        assert f"refused\t{NOTIFIER_OUTCOMES}\tpartitions is 3, not 24" in said.out


async def test_tail_shows_headers_and_data_of_one_patient_and_leaves_sealed_blocks_sealed(
    kafka: KafkaSettings, terminal: Terminal, tmp_path: Path
) -> None:
    terminal.env.update({"UPRIGHT_KAFKA__BOOTSTRAP": kafka.bootstrap, "UPRIGHT_KAFKA__EMBEDDED": "true"})
    assert (await terminal.beside("topics", "apply")).status == 0
    async with open_desk(StoreSettings(url=f"sqlite:///{tmp_path / 'desk.db'}"), kafka) as desk:
        *others, mine = [new_id() for _ in range(6)]
        for patient_id in (*others, mine):
            await desk.post(*patient_of(desk, patient_id))
        async with relaying(desk.intake.relay):
            tail = ("tail", INTAKE_EVENTS, "--from-beginning", "-n", "3", "--patient", mine)
            said = await terminal.beside(*tail)
    assert said.status == 0
    for name in ("patient.registered", "enrolment.opened", "appointment.scheduled"):
        assert name in said.out
    assert f"ce_subject: patient/{mine}" in said.out
    assert "<sealed with k1," in said.out
    assert not any(each in said.out for each in others)
    assert "Ana" not in said.out


async def test_tail_names_the_topics_there_are_and_makes_none(kafka: KafkaSettings, terminal: Terminal) -> None:
    await create_topic(kafka, "there.v1", partitions=1)
    for _ in range(2):
        said = await terminal.beside("tail", "elsewhere.v1", "--kafka", kafka.bootstrap)
        assert said.status == 1
        assert said.err.strip() == "There is no topic elsewhere.v1. There are: there.v1"


# dead letters

CALLERS = (("ops", "cedars", "operator"), ("stranger", "kaiser", "operator"), ("clerk", "cedars", "staff"))


async def buried(folder: Path, service: str, group: str, *found: Record) -> None:
    """Letters as a consumer would have left them."""
    tables = intake_tables if service == "intake" else notifier_tables
    store = Store(StoreSettings(url=f"sqlite:///{folder}/{service}.db"))
    try:
        async with store.write() as connection:
            letters = [letter_of(each, Permanent("bad_payload")) for each in found]
            await bury(connection, tables.consumer.dead_letters, tables.outbox, group, letters)
    finally:
        await store.close()


async def test_a_letter_is_listed_shown_redriven_or_stays_open_until_it_is_dismissed(
    terminal: Terminal, tmp_path: Path
) -> None:
    keys = {name: new_api_key(name, tenant, None, [role]) for name, tenant, role in CALLERS}
    terminal.env.update(
        intake_env(tmp_path, api_keys=f"[{','.join(key.model_dump_json() for _, key in keys.values())}]")
    )
    assert (await terminal.beside("intake", "migrate")).status == 0
    well, bad = example("worklist.opened"), example("worklist.opened", opened_at="yesterday, Ana said")
    await buried(tmp_path, "intake", "intake.outcomes", well, bad)

    listed = await terminal.beside("dead-letters", "list")
    assert [line.split("\t")[:4] for line in listed.out.splitlines()] == [
        ["intake.outcomes/2", "open", "bad_payload", "worklist.opened"],
        ["intake.outcomes/1", "open", "bad_payload", "worklist.opened"],
    ]
    shown = await terminal.beside("dead-letters", "show", "intake.outcomes/2")
    assert "header ce_type\torg.upright.worklist.opened.v1" in shown.out
    assert "Ana" not in shown.out
    payload = ("dead-letters", "show", "intake.outcomes/2", "--payload")
    for key in ("", "ops.wrong", keys["clerk"][0], keys["stranger"][0]):
        refused = await terminal.beside(*payload, UPRIGHT_API_KEY=key)
        assert (refused.status, "Ana" in refused.out) == (2, False), refused
    assert "Ana" in (await terminal.beside(*payload, UPRIGHT_API_KEY=keys["ops"][0])).out

    redriven = await terminal.beside("dead-letters", "redrive", "intake.outcomes/all")
    assert redriven.status == 1
    assert redriven.out.splitlines() == [
        "intake.outcomes/1: redriven",
        "intake.outcomes/2: Refused: bad_payload.",
    ]
    dismissed = await terminal.beside("dead-letters", "dismiss", "intake.outcomes/2", "--note", "Said again by hand")
    assert dismissed.status == 0
    acts = await terminal.beside("dead-letters", "show", "intake.outcomes/2", UPRIGHT_API_KEY=keys["stranger"][0])
    user = f"user:{getpass.getuser()}"
    done = re.findall(r"^((?:read|redrive|dismiss) by \S+)", acts.out, re.M)
    assert done == ["read by ops", f"redrive by {user}", f"dismiss by {user}"]
    assert "No letters (open)" in (await terminal.beside("dead-letters", "list")).err
    every = await terminal.beside("dead-letters", "list", "--state", "all", "--group", "intake.outcomes")
    assert [line.split("\t")[1] for line in every.out.splitlines()] == ["dismissed", "redriven"]


async def test_a_closed_or_unknown_letter_is_an_answer_not_a_traceback(terminal: Terminal, tmp_path: Path) -> None:
    terminal.env.update(intake_env(tmp_path))
    assert (await terminal.beside("intake", "migrate")).status == 0
    for command in (("show",), ("redrive",), ("dismiss", "--note", "gone")):
        said = await terminal.beside("dead-letters", *command, "intake.outcomes/7")
        assert said.status == 1
        assert "There is no such letter." in said.out + said.err
    assert (await terminal.beside("dead-letters", "show", "intake.elsewhere/7")).status == 2
    assert (await terminal.beside("dead-letters", "show", "seven")).status == 2


async def test_the_notifier_says_that_a_newer_version_has_overtaken_a_letter(
    terminal: Terminal, tmp_path: Path
) -> None:
    terminal.env.update(notifier_env(tmp_path))
    assert (await terminal.beside("notifier", "migrate")).status == 0
    newer, older = example("enrolment.opened", version=5), example("enrolment.opened", version=4)
    await buried(tmp_path, "notifier", "notifier.intake", newer, older)
    said = await terminal.beside("dead-letters", "redrive", "notifier.intake/1", "notifier.intake/2")
    assert said.out.splitlines() == ["notifier.intake/1: redriven", "notifier.intake/2: superseded"], said


# intake and notifier


@asynccontextmanager
async def serving(terminal: Terminal) -> AsyncIterator[str]:
    """``upright intake serve`` as a process; SIGTERM ends it well."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    env = {**os.environ, **{name: value for name, value in terminal.env.items() if value is not None}}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "standalone", "intake", "serve"), env={**env, "INTAKE_HTTP__PORT": str(port)},
        stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
            await eventually(lambda: _ready(http), within=60)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        assert await process.wait() == 0


async def _ready(http: httpx2.AsyncClient) -> bool:
    try:
        return (await http.get("/readyz")).status_code == 200
    except httpx2.TransportError:
        return False


async def test_a_new_key_publishes_and_the_state_of_one_patient_or_of_all_is_published_again(
    terminal: Terminal, tmp_path: Path
) -> None:
    text, setting = terminal.run("api-key", "new", "--tenant", "cedars", "--role", "publish").out.splitlines()
    terminal.env.update({**intake_env(tmp_path, api_keys=f"[{setting}]"), "UPRIGHT_API_KEY": text})
    assert (await terminal.beside("intake", "migrate")).status == 0
    batches = [example_batch(datetime.now(UTC), CEDARS)[:2] for _ in range(2)]
    async with serving(terminal) as url:
        published = await terminal.beside("publish", written(tmp_path, [*batches[0], *batches[1]]), "--url", url)
        assert published.status == 0, published.err
    patient_id = batches[0][0]["subject"].partition("/")[2]
    nobody = await terminal.beside("intake", "republish", "--patient", new_id(), "--tenant", "cedars")
    assert (nobody.status, nobody.err.strip()) == (1, "There is no such patient.")
    assert (await terminal.beside("intake", "republish", "--patient", patient_id)).status == 2
    one = await terminal.beside("intake", "republish", "--patient", patient_id, "--tenant", "cedars")
    assert one.out.startswith("2 states are in the outbox")
    everybody = await terminal.beside("intake", "republish")
    assert everybody.out.startswith("4 states are in the outbox")


async def test_a_notifier_is_armed_once_it_has_the_tenant_and_its_empty_ledger_adds_up(
    terminal: Terminal, tmp_path: Path
) -> None:
    terminal.env.update(notifier_env(tmp_path))
    assert (await terminal.beside("notifier", "migrate")).status == 0
    assert (await terminal.beside("notifier", "arm", "--tenant", "cedars", "--at", "2027-03-01T00:00Z")).status == 0
    unknown = await terminal.beside("notifier", "arm", "--tenant", "nowhere", "--at", "2027-03-01T00:00Z")
    assert (unknown.status, "Tenants: cedars" in unknown.err) == (2, True)
    added = await terminal.beside("notifier", "reconcile")
    assert (added.status, added.out.strip().endswith(": balanced")) == (0, True)
