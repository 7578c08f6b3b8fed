"""``upright up`` and ``upright demo``: started, stopped, started again; nothing is left behind."""

import os
import signal
import stat
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from chassis.clock import SystemClock
from standalone.process import FolderInUseError, own_folder
from standalone.system import System
from tests.support.desk_work import book_for_tomorrow, moved, post
from tests.support.eventually import eventually

ROOT = Path(__file__).parents[2]


async def test_a_second_start_finds_its_mail_and_goes_on(tmp_path: Path) -> None:
    first = await started(tmp_path)
    try:
        booked = await book_for_tomorrow(first)
        await post(first, moved(booked, 1, str(uuid.uuid4())))
        await eventually(lambda: len(first.mailbox.messages) == 1, within=30)
    finally:
        await first.stop()
    second = await started(tmp_path)
    try:
        assert [mail.subject for mail in second.mailbox.messages] == ["Your appointment has changed"]
        assert second.mailbox.messages[0].simulated is False
        await post(second, moved(booked, 2, str(uuid.uuid4())))
        await eventually(lambda: len(second.mailbox.messages) == 2, within=30)
        assert "X-Upright-Simulated" not in second.mailbox.messages[1].source.decode()
    finally:
        await second.stop()


async def started(folder: Path) -> System:
    system = System(folder, SystemClock())
    await system.start()
    await system.ready()
    await system.arm(system.clock.now())
    return system


async def test_a_part_that_cannot_start_leaves_nothing_running(tmp_path: Path) -> None:
    taken = System(tmp_path / "one", SystemClock())
    await taken.start()
    second = System(tmp_path / "two", SystemClock(), ports={"intake": 0, "notifier": taken.ports["notifier"]})
    try:
        with pytest.raises(OSError, match="in use"):
            await second.start()
        assert second.broker.pid is None
        assert not second.mailbox.running
        assert not second.runs("intake")
    finally:
        await taken.stop()


def test_a_data_folder_serves_one_process_at_a_time(tmp_path: Path) -> None:
    with own_folder(tmp_path), pytest.raises(FolderInUseError, match="in use"), own_folder(tmp_path):
        pass
    with own_folder(tmp_path):
        pass


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_all_of_it(number: signal.Signals, tmp_path: Path) -> None:
    with upright("up", "--data", str(tmp_path)) as process:
        lines = read_until(process, "Ctrl-C ends")
        page = next(line.split()[-1] for line in lines if "Start here" in line)
        assert "Post an event" in httpx2.get(page).text
        broker = children(process.pid)
        assert broker
        process.send_signal(number)
        assert process.wait(60) == 0
        wait_gone(broker)
    headers = {f"{name}.header" for name in ("cedars", "kaiser", "cedars-second", "kaiser-second")}
    assert secret_files(tmp_path) == {"keys.json", "running.json", *headers}


HEEDING = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM})
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""
"""Ctrl-C is ignored by what a shell runs behind, and may be blocked by what started us. Not by ``preexec_fn``: beside
threads the child may hang there for ever.
"""


@contextmanager
def upright(*arguments: str) -> Iterator["subprocess.Popen[str]"]:
    """The command as a process of its own, in a session of its own, from another folder."""
    environment = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY")}
    process = subprocess.Popen(
        [sys.executable, "-c", HEEDING, "-m", "standalone", *arguments],
        cwd="/", env=environment | {"PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()


def read_until(process: "subprocess.Popen[str]", words: str) -> list[str]:
    lines: list[str] = []
    assert process.stdout
    for line in process.stdout:
        lines.append(line)
        if words in line:
            return lines
    raise AssertionError("".join(lines))


def children(pid: int) -> list[int]:
    found = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False).stdout
    return [int(each) for each in found.split()]


def wait_gone(pids: list[int]) -> None:
    end = time.monotonic() + 10
    while any(Path(f"/proc/{pid}").exists() for pid in pids):
        assert time.monotonic() < end, "a process was left behind"
        os.sched_yield()


def secret_files(folder: Path) -> set[str]:
    """Names of the files that hold keys; each must be its owner's alone."""
    found = [file for file in folder.iterdir() if file.suffix in (".json", ".header")]
    assert {stat.S_IMODE(file.stat().st_mode) for file in found} == {0o600}
    return {file.name for file in found}
