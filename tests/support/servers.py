"""An Apache Kafka and a PostgreSQL of a test's own, which it may crash.

``TEST_SERVERS`` names the program that starts and kills them: ``up``, ``kill`` and ``reset``, as ``.ci/run`` uses it.
Each pair has free ports and data of its own, so it disturbs neither a developer's servers nor another run's.
"""

import os
import random
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import pytest

from chassis.settings import KafkaSettings

Server = Literal["kafka", "postgres"]
COMMAND_SECONDS = 100


class Pair:
    """Neither is up until it is asked for; ``kill`` is a SIGKILL, and the data is there again after ``up``."""

    def __init__(self) -> None:
        self.port = free_port(following=2)
        self._env = {
            **os.environ,
            "SERVERS_PREFIX": f"outages-{self.port}",
            "SERVERS_KAFKA_PORT": str(self.port),
            "SERVERS_PG_PORT": str(free_port()),
        }
        self.postgres = re.findall(r"TEST_POSTGRES=(\S+)", self._run("env"))[0]

    @property
    def kafka(self) -> KafkaSettings:
        return KafkaSettings(bootstrap=f"127.0.0.1:{self.port}")

    def up(self, *servers: Server) -> None:
        """Start these, or both; one that runs goes on."""
        for each in servers or ("kafka", "postgres"):
            self._run("up", each)

    def kill(self, server: Server) -> None:
        """Nothing if it doesn't run."""
        self._run("kill", server)

    def reset(self) -> None:
        """Stop both and delete their data."""
        self._run("reset")

    def _run(self, *arguments: str) -> str:
        done = subprocess.run(
            [os.environ["TEST_SERVERS"], *arguments],
            env=self._env, capture_output=True, text=True, timeout=COMMAND_SECONDS, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
        return done.stdout


CRASHES_SERVERS = (
    pytest.mark.servers,
    pytest.mark.skipif("TEST_SERVERS" not in os.environ, reason="needs TEST_SERVERS"),
)
"""Of files whose tests have a pair of their own."""


@contextmanager
def own_pair() -> Iterator[Pair]:
    """A pair, gone at the end."""
    _forgive_what_is_left_open()
    pair = Pair()
    try:
        yield pair
    finally:
        pair.reset()


def _forgive_what_is_left_open() -> None:
    """A connection whose server died while it was being made is let go unclosed below us, nobody knows when.

    From now on that fails no other test of this process; what our own code leaves open, other processes see.
    """
    report = sys.unraisablehook

    def but_for_what_is_open(found: "sys.UnraisableHookArgs") -> None:
        if not isinstance(found.exc_value, ResourceWarning):
            report(found)

    sys.unraisablehook = but_for_what_is_open


def free_port(following: int = 0) -> int:
    """A port of loopback that nobody uses, nor the next ``following``; below those that the system gives to clients.

    From among those, a client that tries and tries while the server is away is one day connected to itself, and the
    server finds its port taken.
    """
    while True:
        port = random.randrange(20_000, 32_000)
        if all(_is_free(port + each) for each in range(following + 1)):
            return port


def _is_free(port: int) -> bool:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True
