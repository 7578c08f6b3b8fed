"""``upright trials …`` as typed at a terminal, against a real service that listens."""

import json
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import pytest

from chassis.http_server import HttpServer
from chassis.settings import HttpSettings, StoreSettings
from tests.support.cli import Terminal
from tests.support.coordinating import CVF, FISTULA, Room, coordinators, study
from tests.support.registry_server import RegistryServer, Status
from tests.support.research import KEY, research

RECORDS = Path(__file__).parent.parent / "data" / "ctgov-v2" / "spine-disc-open-88.json"


@dataclass(slots=True)
class Counter:
    """A coordinators' terminal beside a service that listens."""

    room: Room
    terminal: Terminal

    async def run(self, *arguments: str, who: str = "ana", **more: Any) -> Any:
        return await self.terminal.beside("trials", *arguments, UPRIGHT_API_KEY=self.room.tokens[who], **more)


@pytest.fixture
async def counter(tmp_path: Path) -> AsyncIterator[Counter]:
    store = f"sqlite:///{tmp_path / 'trials.db'}"
    async with research(StoreSettings(url=store)) as desk, coordinators(desk) as room:
        server = HttpServer(desk.trials.app, HttpSettings(port=0))
        env: dict[str, str | None] = {
            "UPRIGHT_TRIALS_URL": f"http://127.0.0.1:{await server.start()}", "TRIALS_STORE__URL": store,
            "TRIALS_KAFKA__BOOTSTRAP": "127.0.0.1:1", "TRIALS_KAFKA__EMBEDDED": "true",
            "TRIALS_MASTER": json.dumps(KEY), "TRIALS_FACTS": json.dumps(KEY),
        }  # fmt: skip
        try:
            yield Counter(room, Terminal(env))
        finally:
            await server.stop()


async def test_all_88_records_are_imported_and_again_they_are_the_same(counter: Counter) -> None:
    said = await counter.run("import", str(RECORDS))
    assert (said.status, len(said.out.splitlines())) == (0, 88), said
    assert "0 refused" in said.err
    again = await counter.run("import", str(RECORDS))
    assert (again.status, "88 same" in again.err) == (0, True)


async def test_criteria_files_beside_the_records_become_the_drafts(counter: Counter, tmp_path: Path) -> None:
    folder = tmp_path / "trials"
    folder.mkdir()
    (folder / "a.json").write_text(json.dumps(study(1)))
    (folder / "b.ndjson").write_text(json.dumps(study(2)) + "\n{broken\n" + json.dumps(study(3)) + "\n")
    criterion = "{id: i1, kind: inclusion, expression: {fact: leak-type, op: eq, value: type-3}}"
    (folder / "one.yaml").write_text(f"trial: NCT00000001\ncriteria:\n  - {criterion}\n")
    (folder / "two.yaml").write_text("trial: NCT00000002\ncriteria:\n  - {id: i1, kind: sometimes}\n")
    (folder / "four.yaml").write_text(f"trial: NCT00000004\ncriteria:\n  - {criterion}\n")
    said = await counter.run("import", str(folder))
    lines = {name: (outcome, *rest) for outcome, name, *rest in (line.split("\t") for line in said.out.splitlines())}
    assert said.status == 1
    assert [lines[f"NCT0000000{number}"][0] for number in (2, 3)] == ["new", "new"]
    assert lines["b.ndjson, line 2"] == ("refused", "isn't JSON, or is nested too deeply")
    assert lines["NCT00000001"] == ("changed",)
    assert lines["NCT00000004"][0] == "refused"
    assert "two.yaml:3: criterion i1: criteria.0.kind" in lines["two.yaml"][1]
    stored = (await counter.room.get("/v1/trials/NCT00000001")).json()
    assert stored["draft"]["eligibility"]["minimum_age"] == {"number": 18, "unit": "years"}, "the record's"
    assert stored["sentences"]["i1"] == "leak type is type 3 (CSF-venous fistula)"


async def test_from_the_shipped_examples_to_released_invitations(counter: Counter) -> None:
    with as_file(files("programs") / "trials") as folder:
        said = await counter.run("import", str(folder))
    assert (said.status, len(said.out.splitlines())) == (0, 12), said
    published = await counter.run("publish", CVF)
    assert (published.status, "version 1, criteria 1.0" in published.out) == (0, True)
    assert "Nothing has changed" in (await counter.run("publish", CVF)).err
    assert "second person" in (await counter.run("release", CVF)).err
    assert (await counter.run("release", CVF, who="bo")).status == 0
    listed = (await counter.run("list")).out
    assert f"{CVF}\trecruiting\t8\t0\t1\tyes" in listed
    assert "i1 (inclusion): leak type is type 3 (CSF-venous fistula)" in (await counter.run("show", CVF)).out


async def test_a_verdict_is_explained_again_as_of_a_day(counter: Counter) -> None:
    desk = counter.room.desk
    await desk.publish(CVF)
    patient_id = await desk.admit(**FISTULA)
    asked = ("explain", "--trial", CVF, "--patient", patient_id, "--tenant", desk.tenant)
    today = await counter.run(*asked, "--as-of", "2027-03-16")
    said = f"eligible on 2027-03-16 in program {desk.program}, criteria 1.0"
    assert (today.status, today.out.splitlines()[0]) == (0, said)
    assert "✓ i1: leak type is type 3 (CSF-venous fistula)" in today.out
    assert "age: 40 to 49 years" in today.out
    before = await counter.run(*asked, "--as-of", "2027-02-01")
    assert (before.status, "in no program" in before.err) == (1, True), "nothing was known of the patient yet"
    stamped = await counter.run(*asked, "--as-of", "2027-02-26", "--facts-version", "1", "--criteria-version", "1.0")
    assert stamped.out.startswith("eligible on 2027-02-26")
    missing = await counter.run("explain", "--trial", "NCT1", "--patient", patient_id, "--tenant", desk.tenant)
    assert (missing.status, "no such trial" in missing.err) == (1, True)


async def test_an_import_from_a_registry_goes_on_where_it_stopped(counter: Counter, tmp_path: Path) -> None:
    studies = [study(number) for number in range(1, 2_501)]
    kept = tmp_path / "kept.json"
    async with RegistryServer(studies) as registry:
        command = ("import", "--api", registry.url, "--query", "query.cond=leak", "--pace", "0", "--resume", str(kept))
        registry.script(_right, *[Status("404 Not Found")])
        stopped = await counter.run(*command)
        assert (stopped.status, "goes on where it stopped" in stopped.err) == (3, True), stopped
        assert len(stopped.out.splitlines()) == 1_000
        assert json.loads(kept.read_text())["token"] == "t1000"
        registry.script(Status("503 Busy"))
        done = await counter.run(*command)
        assert (done.status, len(done.out.splitlines())) == (0, 1_500), done.err
        assert not kept.exists()
        kept.write_text(json.dumps({"api": "https://other.example", "query": {}, "token": "x"}))
        assert "another import" in (await counter.run(*command)).err


def _right(server: RegistryServer, asked: dict[str, str]) -> bytes:
    from tests.support.registry_server import http

    return http("200 OK", server.page(asked))


# evaluate: nothing runs


PATIENTS: dict[str, Any] = {
    "grace": {
        "birth_date": "1986-05-02", "sex": "female",
        "facts": {name.replace("_", "-"): value for name, value in FISTULA.items()},
    },
    "kim": {"sex": "female", "trial_contact": False, "facts": [{"name": "leak-type", "value": "type-3"}]},
}  # fmt: skip


def evaluated(tmp_path: Path, patients: Any, *more: str) -> Any:
    file = tmp_path / "patients.json"
    file.write_text(json.dumps(patients))
    with as_file(files("programs") / "trials" / f"{CVF}.yaml") as trial:
        asked = ("--trials", str(trial), "--patients", str(file), "--as-of", "2027-03-16")
        return Terminal().run("trials", "evaluate", *asked, *more)


def test_files_are_judged_without_a_service(tmp_path: Path) -> None:
    said = evaluated(tmp_path, PATIENTS)
    grace, kim = map(json.loads, said.out.splitlines())
    assert said.status == 0
    assert (grace["verdict"], grace["gate"]["open"], grace["failed"], grace["unknown"]) == ("eligible", True, [], [])
    assert (kim["verdict"], kim["gate"]["closed"]) == ("possible", ["consent", "minor"])
    assert kim["unknown"] == ["age", "i2", "i3", "i4", "e1", "e2", "e3", "e4"]
    assert {"fact": "pregnant", "could_be": ["ineligible"]} in kim["deciding"]


def test_the_day_from_which_time_alone_makes_somebody_eligible_is_told(tmp_path: Path) -> None:
    facts = PATIENTS["grace"]["facts"] | {"symptom-onset": "2026-12-20"}
    (found,) = map(json.loads, evaluated(tmp_path, {"grace": PATIENTS["grace"] | {"facts": facts}}).out.splitlines())
    assert (found["verdict"], found["failed"], found["eligible_from"]) == ("ineligible", ["i4"], "2027-03-20")


def test_facts_that_cant_be_taken_are_named_and_unknown(tmp_path: Path) -> None:
    facts = [
        {"name": "opening-pressure", "value": 4, "unit": "mm[Hg]"},
        {"name": "no-such-fact", "value": 1},
        {"name": "symptom-onset", "value": "2031-01-01"},
        {"name": "leak-type", "value": "type-3", "source": "a"},
        {"name": "leak-type", "value": "type-1", "source": "b"},
    ]
    said = evaluated(tmp_path, {"kim": {"facts": facts}})
    assert said.status == 1
    assert "patient kim: opening-pressure: must be in cm[H2O]" in said.err
    assert "patient kim: no-such-fact: isn't in the program's vocabulary" in said.err
    assert "patient kim: symptom-onset: is in the future" in said.err
    assert "i1" in json.loads(said.out)["unknown"], "two sources disagree"
    wrong = evaluated(tmp_path, {"kim": {"age": 3}})
    assert (wrong.status, "patient kim: age: Extra inputs" in wrong.err) == (1, True)


def test_criteria_that_name_an_unknown_fact_are_named(tmp_path: Path) -> None:
    trial = tmp_path / "x.json"
    expression = {"fact": "leak-typ", "op": "eq", "value": "type-3"}
    trial.write_text(json.dumps([
        {"trial": "NCT00000001", "criteria": [{"id": "i1", "kind": "inclusion", "expression": expression}]}
    ]))  # fmt: skip
    patients = tmp_path / "p.json"
    patients.write_text(json.dumps(PATIENTS))
    said = Terminal().run(
        "trials", "evaluate", "--trials", str(trial), "--patients", str(patients), "--as-of", "2027-03-16"
    )
    assert said.status == 1
    assert "NCT00000001: criterion i1: expression: leak-typ: isn't in the program's vocabulary" in said.err
    assert [json.loads(line)["unknown"] for line in said.out.splitlines()] == [["i1"], ["i1"]]


def test_the_files_that_the_documentation_shows_are_judged_as_it_says(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "trials.md").read_text("utf-8")
    trial, patients, line = re.findall(r"```(?:yaml|json)\n(.*?)```", page, re.S)
    (tmp_path / "trial.yaml").write_text(trial)
    (tmp_path / "patients.json").write_text(patients)
    asked = ("--trials", str(tmp_path / "trial.yaml"), "--patients", str(tmp_path / "patients.json"))
    said = Terminal().run("trials", "evaluate", *asked, "--as-of", "2027-03-16")
    first, second = map(json.loads, said.out.splitlines())
    assert (said.status, first.keys()) == (0, json.loads(line).keys())
    assert (first["verdict"], first["unknown"]) == ("possible", ["e1"]), "pregnancy, and a patch without a date"
    assert second["unknown"] == ["age", "sex", "i1", "e1"]


@pytest.mark.parametrize("command", [["trials"], ["trials", "import"], ["trials", "evaluate"], ["trials", "explain"]])
def test_help_is_shown_without_importing_what_the_commands_need(command: list[str]) -> None:
    heavy = ("sqlalchemy", "fastapi", "aiokafka", "httpx2", "services", "chassis", "schemas")
    code = (
        "import sys, standalone.cli\n"
        f"try: standalone.cli.app({[*command, '--help']!r})\n"
        f"except SystemExit: print([name for name in {heavy!r} if name in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.splitlines()[-1] == "[]", said.stdout
