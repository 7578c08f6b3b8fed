"""Fixtures that every suite may ask for."""

import pytest

from chassis import logs
from chassis.settings import LogLevel, ObservabilitySettings

pytest_plugins = ["tests.support.scheduling", "tests.support.stores", "tests.support.kafka"]


@pytest.fixture(scope="session", autouse=True)
def logging_as_in_production() -> None:
    """Also much quicker than structlog's default, which draws every traceback with its variables."""
    logs.configure(ObservabilitySettings(log_level=LogLevel.DEBUG))
