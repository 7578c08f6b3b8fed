"""Fixtures that every suite may ask for."""

import pytest
from hypothesis import HealthCheck, settings

from chassis import logs
from chassis.settings import LogLevel, ObservabilitySettings

pytest_plugins = ["tests.support.scheduling", "tests.support.stores", "tests.support.kafka"]

settings.register_profile("usual", settings.default, deadline=None)
settings.register_profile(
    "thorough", settings.default, deadline=None, max_examples=10_000, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("usual")  # `--hypothesis-profile=thorough` asks for more


@pytest.fixture(scope="session", autouse=True)
def logging_as_in_production() -> None:
    """Also much quicker than structlog's default, which draws every traceback with its variables."""
    logs.configure(ObservabilitySettings(log_level=LogLevel.DEBUG))
