"""``upright doctor``: what is wrong with an installation is named with what to do; a sound one is said to be."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import insert

from chassis.migrations import migrate
from chassis.settings import KafkaSettings, StoreSettings
from chassis.store import Store
from chassis.topics import apply
from schemas.topics import ALL_TOPICS
from services.notifier.tables import arming
from tests.support.cli import Said, Terminal, intake_env, notifier_env, ring
from tests.support.cli import terminal as terminal
from tests.support.kafka import running_broker
from tests.support.smtp_server import SmtpServer


@pytest.fixture
async def kafka(tmp_path: Path) -> AsyncIterator[KafkaSettings]:
    async with running_broker("embedded", tmp_path) as settings:
        yield settings


def lines(said: Said) -> dict[tuple[str, str], list[str]]:
    """By service and what was looked at."""
    rows = [[*line.split("\t"), ""] for line in said.out.splitlines()]
    return {(row[1], row[2]): [row[0], *row[3:5]] for row in rows}


async def prepare(env: dict[str, str], service: str) -> None:
    store = Store(StoreSettings(url=env[f"{service.upper()}_STORE__URL"]))
    await migrate(store, f"services.{service}")
    if service == "notifier":
        async with store.write() as connection:
            await connection.execute(insert(arming).values(tenant="cedars", armed_at=datetime.now(UTC)))
    await store.close()


async def test_a_sound_installation_is_said_to_be(kafka: KafkaSettings, terminal: Terminal, tmp_path: Path) -> None:
    await apply(kafka, ALL_TOPICS.values())
    async with SmtpServer() as smtp:
        env = intake_env(tmp_path, kafka) | notifier_env(tmp_path, kafka)
        env |= {"NOTIFIER_CONTACT": env["INTAKE_CONTACT"], "NOTIFIER_SMTP__PORT": str(smtp.port)}
        for service in ("intake", "notifier"):
            await prepare(env, service)
        said = await terminal.beside("doctor", **env)
        assert smtp.mails == []
    found = lines(said)
    assert said.status == 0, said
    assert {verdict for verdict, *_ in found.values()} == {"ok"}
    assert found["notifier", "arming"][1] == "armed: cedars"
    assert {what for _, what in found} == {
        "settings", "keys", "store", "migrations", "clock", "arming", "broker", "topics", "programs", "smtp",
    }  # fmt: skip


async def test_whatever_is_wrong_is_named_with_what_to_do_and_no_value_is_shown(
    kafka: KafkaSettings, terminal: Terminal, tmp_path: Path
) -> None:
    env = intake_env(tmp_path, kafka) | notifier_env(tmp_path, kafka)
    said = await terminal.beside("doctor", **env)
    found = lines(said)
    assert said.status == 1
    assert {what: todo for (_, what), (verdict, _, todo) in found.items() if verdict == "wrong"} == {
        "keys": "docs/runbooks/keys.md",
        "migrations": "upright notifier migrate",
        "topics": "upright topics apply, as a user who may",
        "smtp": "docs/runbooks/smtp.md",
    }
    for value in (env["NOTIFIER_ADDRESS_KEY"], json.loads(env["INTAKE_CONTACT"])["keys"]["k1"]):
        assert value not in said.out + said.err


async def test_a_store_and_a_broker_that_are_away_are_told_from_settings_that_arent_whole(
    terminal: Terminal, tmp_path: Path
) -> None:
    env = notifier_env(tmp_path) | intake_env(tmp_path)
    env["NOTIFIER_STORE__URL"] = "postgresql://upright:secret@127.0.0.1:1/none"
    said = await terminal.beside("doctor", **env, INTAKE_HOST="Not A Host")
    found = lines(said)
    assert said.status == 1
    assert found["intake", "settings"][0] == "wrong"
    assert "INTAKE_HOST" in found["intake", "settings"][1]
    assert found["notifier", "store"][:2] == ["wrong", "doesn't answer"]
    assert found["notifier", "broker"][0] == "wrong"
    assert "secret" not in said.out + said.err


async def test_programs_that_are_incomplete_and_tenants_that_arent_armed_are_notes(
    terminal: Terminal, tmp_path: Path
) -> None:
    env = notifier_env(tmp_path) | {"NOTIFIER_KAFKA__EMBEDDED": "false"}
    store = Store(StoreSettings(url=env["NOTIFIER_STORE__URL"]))
    await migrate(store, "services.notifier")
    await store.close()
    found = lines(await terminal.beside("doctor", **env))
    assert found["notifier", "arming"][0] == "note"
    assert found["notifier", "programs"][0] == "note"
    assert "sends nothing until it has" in found["notifier", "programs"][1]


async def test_a_ring_with_the_sealers_key_beside_a_newer_one_opens_what_it_seals(
    terminal: Terminal, tmp_path: Path
) -> None:
    env = intake_env(tmp_path) | notifier_env(tmp_path)
    old, new = json.loads(env["INTAKE_CONTACT"])["keys"]["k1"], json.loads(ring())["keys"]["k1"]
    env["NOTIFIER_CONTACT"] = json.dumps({"active": "k2", "keys": {"k1": old, "k2": new}})
    assert lines(await terminal.beside("doctor", **env))["notifier", "keys"][0] == "ok"
