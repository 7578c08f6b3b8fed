"""``upright --data FOLDER …``: commands that speak to the system which runs from a data folder."""

import json
import shutil
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

import pytest

from chassis.clock import SystemClock
from standalone.running import write_running
from standalone.start_page import example_batch
from standalone.system import System
from tests.support.cli import Said, Terminal
from tests.support.cli import terminal as terminal
from tests.support.eventually import eventually
from tests.support.intake import CEDARS

BATCH = example_batch(datetime.now(UTC), CEDARS)
ANA = BATCH[0]["subject"].removeprefix("patient/")


@pytest.fixture
async def folder(tmp_path: Path) -> AsyncIterator[Path]:
    """A running system's."""
    system = System(tmp_path / "data", SystemClock())
    await system.start_broker()
    await system.start()
    try:
        await system.ready()
        await system.arm(system.clock.now())
        write_running(system.folder, system, {"ana": ANA})
        yield system.folder
    finally:
        await system.stop()


async def test_from_a_file_of_events_to_the_plan_its_reasons_and_what_other_program_files_would_change(
    folder: Path, terminal: Terminal, tmp_path: Path
) -> None:
    async def upright(*arguments: str, **env: str) -> Said:
        return await terminal.beside("--data", str(folder), *arguments, **env)

    file = tmp_path / "events.ndjson"
    file.write_text("\n".join(map(json.dumps, BATCH)))
    assert (await upright("publish", str(file))).status == 0

    async def planned() -> list[str]:
        return (await upright("plan", "--patient", "ana")).out.splitlines()

    before = await eventually(planned, within=30)
    assert [row.split("\t")[3] for row in before] == ["P14D", "P3D", "P1D"]
    why = await upright("why", before[0].split("\t")[-1])
    assert "Rule: A reminder 14 days before the visit" in why.out
    assert (await upright("why", "--patient", ANA)).out.count("Rule:") == 3

    programs = tmp_path / "programs"
    shutil.copytree(str(files("programs")), programs)
    policy = programs / "policy.yaml"
    policy.write_text(policy.read_text().replace("[P14D, P3D, P1D]", "[P14D, P5D, P3D, P1D]"))
    changed = await upright("plan", "--patient", "ana", "--program-folder", str(programs))
    assert [row.split("\t")[:3] for row in changed.out.splitlines()[1:]] == [
        ["added", "appointment-reminder", "1"],
        ["added", "appointment-reminder", CEDARS],
    ]
    refused = await terminal.beside("--data", str(folder), "programs", "apply", str(programs), typed="n\n")
    assert (refused.status, "Nothing was applied." in refused.err) == (1, True)
    assert (await upright("programs", "apply", "--yes", str(programs))).status == 0

    async def taken_over() -> bool:
        return any("P5D" in row for row in await planned())

    await eventually(taken_over, within=30)
    assert (await upright("notifier", "reconcile")).status == 0


async def test_another_tenants_staff_see_nothing_of_a_patient(folder: Path, terminal: Terminal) -> None:
    typed = "\n".join(map(json.dumps, BATCH))
    assert (await terminal.beside("--data", str(folder), "publish", "-", typed=typed)).status == 0

    async def planned() -> bool:
        return (await terminal.beside("--data", str(folder), "plan", "--patient", "ana")).status == 0

    await eventually(planned, within=30)
    said = await terminal.beside("--data", str(folder), "--tenant", "kaiser", "plan", "--patient", "ana")
    assert (said.status, said.out) == (1, "")
    said = await terminal.beside("--data", str(folder), "--tenant", "nowhere", "plan", "--patient", "ana")
    assert (said.status, "There are: cedars, kaiser" in said.err) == (2, True)


async def test_a_programs_mail_is_paused_and_resumed_and_the_doctor_finds_all_well(
    folder: Path, terminal: Terminal
) -> None:
    async def upright(*arguments: str) -> Said:
        return await terminal.beside("--data", str(folder), *arguments)

    assert (await upright("pauses")).out == ""
    what = ("--program", CEDARS, "--kind", "appointment-reminder", "--reason")
    paused = await upright("pause", *what, "a wrong number")
    assert (paused.status, paused.out.startswith(f"Paused. appointment-reminder of {CEDARS}: ")) == (0, True), paused
    assert (await upright("pause", *what, "me too")).out.startswith("It was paused before.")
    resumed = await upright("resume", *what, "mended")
    assert resumed.out == f"Resumed. appointment-reminder of {CEDARS}: 0 patients are planned again.\n"
    [row] = (await upright("pauses")).out.splitlines()
    columns = row.split("\t")
    assert [columns[at] for at in (0, 1, 3, 4, 6, 7)] == [
        CEDARS, "appointment-reminder", "staff-cedars", "a wrong number", "staff-cedars", "mended",
    ]  # fmt: skip
    assert (await upright("pause", "--program", "zzzz99", "--reason", "x")).status == 1
    assert (await upright("pause", "--program", CEDARS, "--reason", " ")).status == 2
    doctor = await upright("doctor")
    assert (doctor.status, "wrong" in doctor.out) == (0, False), doctor
