"""One command's process: its data folder to itself, and an end that SIGTERM and Ctrl-C reach the same way."""

import asyncio
import fcntl
import signal
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from chassis import garbage, logs
from chassis.settings import ObservabilitySettings

INTERRUPTED = 130


class FolderInUseError(RuntimeError):
    """Another process works in the data folder."""


@contextmanager
def own_folder(folder: Path) -> Iterator[None]:
    """Have the folder for the block, alone; the lock goes with the process, however it ends.

    Raises ``FolderInUseError``.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise FolderInUseError(f"{folder} is in use by another upright; stop it, or name another folder") from None
        yield


@contextmanager
def logging_to(file: Path) -> Iterator[None]:
    """The process's log goes to a file, so that the terminal stays readable."""
    with file.open("a", encoding="utf-8") as opened:
        logs.configure(ObservabilitySettings(), opened)
        try:
            yield
        finally:
            logs.configure(ObservabilitySettings())


def run(main: Callable[[], Coroutine[Any, Any, int]]) -> int:
    """Run to its end; the exit status. SIGTERM and Ctrl-C cancel ``main``, which tidies up: 130 unless it says else."""
    garbage.keep_what_is_loaded()
    try:
        return asyncio.run(_until_terminated(main))
    except (KeyboardInterrupt, asyncio.CancelledError):
        return INTERRUPTED


async def _until_terminated(main: Callable[[], Coroutine[Any, Any, int]]) -> int:
    task = asyncio.current_task()
    if task is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await main()
