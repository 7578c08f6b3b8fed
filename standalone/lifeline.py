"""Run a command that can't outlive the process which asked for it, even when that one is killed outright.

``python lifeline.py PARENT_PID COMMAND ARGUMENT…`` becomes the command (same process id, by exec). On Linux the kernel
kills it when the parent's forking thread ends (prctl(2), PR_SET_PDEATHSIG, which survives exec). Elsewhere a small
guard process looks once a second. Runs as a script of its own, because code between fork and exec isn't safe in a
process that has threads. Imports only the standard library, so that it starts with ``-I -S``.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from contextlib import suppress

PR_SET_PDEATHSIG = 1  # linux/prctl.h


def tie_by_kernel(parent: int) -> None:
    """Have the kernel kill this process when ``parent`` ends; ends at once when it already has."""
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:
        sys.exit("parent ended first")


def tie_by_guard(parent: int, every: float = 1.0) -> None:
    """Fork a guard that kills this process (by its id, so across an exec) within ``every`` seconds of parent's end."""
    tied = os.getpid()
    if os.fork() != 0:
        return
    while os.getppid() == tied:  # as soon as the tied process is gone, the guard has another parent
        if not _alive(parent):
            with suppress(ProcessLookupError):
                os.kill(tied, signal.SIGKILL)
        time.sleep(every)
    os._exit(0)


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


if __name__ == "__main__":
    tie = tie_by_kernel if sys.platform == "linux" else tie_by_guard
    tie(int(sys.argv[1]))
    os.execv(sys.argv[2], sys.argv[2:])  # noqa: S606 - a fixed path and arguments from our own broker.py, no shell
