"""Fault points: off unless asked for, exact when asked for, and never set by a slip of the pen."""

import os
import signal
import subprocess
import sys

import pytest

from chassis import faults
from chassis.faults import VARIABLE, Step, fault_at


def test_without_the_variable_a_step_costs_a_call_that_does_nothing() -> None:
    assert VARIABLE not in os.environ
    assert faults.reach is faults._nothing
    for step in Step:
        faults.reach(step)


def test_only_the_named_step_is_fatal_and_only_at_its_hit() -> None:
    deaths: list[str] = []
    reach = fault_at("after-dot@2", die=lambda: deaths.append("dead"))
    reach(Step.AFTER_DOT)
    reach(Step.AFTER_ANSWER)
    assert deaths == []
    reach(Step.AFTER_DOT)
    assert deaths == ["dead"]


@pytest.mark.parametrize("wrong", ["", "1", "true", "after-dots", "AFTER_DOT", "after-dot@0", "after-dot@soon"])
def test_what_names_no_step_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # the enumeration's own, or int's
        fault_at(wrong)


def _run(setting: str, code: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, VARIABLE: setting}
    return subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)


def test_a_process_ends_at_start_when_the_name_is_wrong() -> None:
    ended = _run("after-lunch", "import chassis.faults; print('started')")
    assert (ended.returncode, ended.stdout) == (1, "")


def test_a_process_that_is_told_to_dies_by_a_signal_nobody_can_catch() -> None:
    ended = _run("published", "from chassis.faults import Step, reach; reach(Step.PUBLISHED)")
    assert ended.returncode == -signal.SIGKILL
