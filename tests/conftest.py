"""Fixtures that every suite may ask for."""

import gc
import os
import sys
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import HealthCheck, settings

from chassis import logs
from chassis.settings import LogLevel, ObservabilitySettings

pytest_plugins = [
    "tests.support.browser",
    "tests.support.kafka",
    "tests.support.scheduling",
    "tests.support.stores",
]

# Other tests and servers take the machine meanwhile, so how long an example takes says nothing.
patient = settings(
    deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=100 if "CI" in os.environ else 40
)
# CI judges a change, and the same way each time; who develops, and the thorough profile, look for what is new.
settings.register_profile("usual", patient, derandomize="CI" in os.environ)
settings.register_profile("thorough", patient, max_examples=10_000)
settings.load_profile("usual")  # `--hypothesis-profile=thorough` asks for more


def pytest_collection_finish() -> None:
    """What was imported stays: the garbage collector needn't look through it again and again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def logging_as_in_production() -> None:
    """Also much quicker than structlog's default, which draws every traceback with its variables."""
    logs.configure(ObservabilitySettings(log_level=LogLevel.DEBUG))


@pytest.fixture
def logging_restored() -> Iterator[None]:
    """For a test that configures logging itself: on a stream, maybe, that is closed afterwards."""
    ours = sys.stderr
    yield
    structlog.contextvars.clear_contextvars()
    logs.configure(ObservabilitySettings(log_level=LogLevel.DEBUG), ours)
