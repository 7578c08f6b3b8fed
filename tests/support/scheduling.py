"""Which tests go to one worker, one after another: those that share something which takes seconds to start. And which
go first: those that are given most time, so that no worker is left alone with a long one at the end.

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
    "tests/e2e/test_runbooks.py",
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
    """In the order in which the tests were collected; a group with its first test."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Scheduling | None:
    if config.getvalue("dist") != "loadgroup":
        return None
    config.option.loadscopereorder = False  # else the largest groups come first
    return Scheduling(config, log)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=_time_given, reverse=True)


def _time_given(item: pytest.Item) -> float:
    mark = item.get_closest_marker("timeout")
    return float(mark.args[0]) if mark else 0.0
