"""Which tests go to one worker, one after another: those that share something which takes seconds to start.

In place of pytest-xdist's mark ``xdist_group``, which it silently ignores under pytest 9.2 (pytest-xdist issue 1386).
"""

from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

TOGETHER = frozenset({
    "tests/adapters/test_consumer.py",
    "tests/e2e/test_bad_records.py",
    "tests/e2e/test_failures_of_others.py",
    "tests/e2e/test_outages.py",
    "tests/integration/test_http.py",
})  # fmt: skip
"""Files whose tests share one system, broker or pair of servers."""


def group_of(test: str) -> str:
    """By a test's id. Whatever runs on the stage ``servers`` shares the topics, which have fixed names."""
    if "[servers" in test:
        return "topics"
    file = test.partition("::")[0]
    return file if file in TOGETHER else test


class Scheduling(LoadScopeScheduling):  # type: ignore[misc]  # xdist ships no types
    """The groups with most tests first, then the tests that stand alone."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Scheduling | None:
    return Scheduling(config, log) if config.getvalue("dist") == "loadgroup" else None
