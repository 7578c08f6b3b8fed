"""The files of a deployment agree with each other and with the code; nothing here needs an engine."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from chassis.api_keys import ApiKeys
from chassis.metrics import DEFINITIONS
from chassis.settings import ApiKeySetting
from schemas.program_checks import sound_programs
from schemas.program_files import load_program
from services.intake.settings import IntakeSettings
from services.notifier.settings import NotifierSettings
from services.trials.settings import TrialsSettings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
BOARD = json.loads((DEPLOY / "grafana" / "boards" / "upright.json").read_text("utf-8"))
SETTINGS = {"intake": IntakeSettings, "notifier": NotifierSettings, "trials": TrialsSettings}
FOLDER = "${SECRETS:-./deploy/secrets}/"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not shutil.which("openssl"):
        pytest.skip("no openssl")
    folder = tmp_path_factory.mktemp("made") / "secrets"
    subprocess.run([DEPLOY / "make-secrets", folder], check=True, capture_output=True, timeout=60)
    return folder


def mounted(service: str) -> dict[str, str]:
    """Of one service: where each secret is mounted, and its file's name."""
    found = {}
    for each in COMPOSE["services"][service].get("secrets", []):
        source, target = (each, each) if isinstance(each, str) else (each["source"], each["target"])
        found[target] = COMPOSE["secrets"][source]["file"].removeprefix(FOLDER)
    return found


@pytest.mark.parametrize("service", SETTINGS)
@pytest.mark.parametrize("role", ["", "migrate-"])
def test_a_service_finds_all_its_settings(
    service: str, role: str, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in COMPOSE["services"][role + service]["environment"].items():
        monkeypatch.setenv(name, re.sub(r"\$\{\w+:-(.*)\}", r"\1", str(value)))
    if service != "notifier":
        monkeypatch.setenv(f"{service.upper()}_PROGRAMS", str(ROOT / "programs"))
    for target, file in mounted(role + service).items():
        shutil.copy(made / file, tmp_path / target)
    monkeypatch.setenv("UPRIGHT_SECRETS", str(tmp_path))
    settings = SETTINGS[service]()
    user = f"{service}_owner" if role else service
    assert settings.store.url.startswith(f"postgresql+asyncpg://{user}:")
    assert settings.kafka.username == service


def test_every_secret_is_made_and_every_one_made_is_used(made: Path) -> None:
    used = {each["file"].removeprefix(FOLDER) for each in COMPOSE["secrets"].values()}
    assert used == {each.name for each in made.iterdir()}


def test_no_service_is_given_anothers_secrets() -> None:
    for service in SETTINGS:
        assert [target for target in mounted(service) if not target.startswith(f"{service}_")] == []
        assert [file for file in mounted(service).values() if "owner" in file] == []


def test_making_secrets_again_keeps_those_that_are_there(made: Path) -> None:
    before = {each.name: each.read_bytes() for each in made.iterdir()}
    subprocess.run([DEPLOY / "make-secrets", made], check=True, capture_output=True, timeout=60)
    assert {each.name: each.read_bytes() for each in made.iterdir()} == before
    assert made.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("tenant", ["cedars", "kaiser"])
def test_a_desks_key_is_known_by_its_hash_alone(made: Path, tenant: str) -> None:
    keys = ApiKeys(ApiKeySetting.model_validate(each) for each in json.loads((made / "api_keys").read_text()))
    caller = keys.caller((made / f"key_{tenant}").read_text())
    assert caller is not None
    assert caller.scope.tenant == tenant
    assert (made / f"key_{tenant}").read_text().partition(".")[2] not in (made / "api_keys").read_text()


@pytest.mark.parametrize("service", COMPOSE["services"])
def test_every_container_is_hardened_and_bounded(service: str) -> None:
    one = COMPOSE["services"][service]
    assert one["cap_drop"] == ["ALL"]
    assert one["security_opt"] == ["no-new-privileges:true"]
    assert one["mem_limit"]
    assert [port for port in one.get("ports", []) if not port.startswith("127.0.0.1:")] == []
    if "build" in one:
        assert one["read_only"] is True


def test_the_example_site_files_fill_in_all_that_a_program_needs_to_send() -> None:
    for folder in sorted(each.parent for each in (DEPLOY / "programs").glob("*/site.yaml")):
        merged = _Overlaid(ROOT / "programs" / folder.name, folder)
        assert load_program(merged, ROOT / "programs" / "policy.yaml").program.missing == ()  # type: ignore[arg-type]
    assert len(sound_programs(ROOT / "programs")) == len(list((DEPLOY / "programs").iterdir()))


class _Overlaid:
    """A program's folder with another's ``site.yaml``, as the mount makes it."""

    def __init__(self, below: Path, above: Path) -> None:
        self.name, self._below, self._above = below.name, below, above

    def __truediv__(self, name: str) -> Path:
        return (self._above if name == "site.yaml" else self._below) / name


def test_the_board_asks_for_metrics_that_exist() -> None:
    asked = {
        name
        for panel in BOARD["panels"]
        for target in panel.get("targets", [])
        for name in re.findall(r"upright_(\w+?)(?:_bucket)?\b", target["expr"])
    }
    assert asked - set(DEFINITIONS) == set()


def test_the_boards_panels_have_ids_of_their_own_and_lie_beside_each_other() -> None:
    assert len({panel["id"] for panel in BOARD["panels"]}) == len(BOARD["panels"])
    taken = [
        (x, y)
        for place in (panel["gridPos"] for panel in BOARD["panels"])
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(taken) == len(set(taken))
    assert max(x for x, _ in taken) < 24


def test_prometheus_takes_its_configuration() -> None:
    if not (promtool := shutil.which("promtool")):
        pytest.skip("no promtool")
    config = DEPLOY / "prometheus" / "prometheus.yml"
    subprocess.run([promtool, "check", "config", config], check=True, capture_output=True, timeout=30)
