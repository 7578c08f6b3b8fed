"""What a program's values mean together, rule by rule and on the bound; files and lines are tried elsewhere."""

from dataclasses import replace
from datetime import time
from typing import Any

import pytest

from schemas.program_checks import check_program, minutes_before
from schemas.program_files import load_programs
from schemas.programs import PreparationItem, Steps

LOADED = next(each for each in load_programs(demo=True).values() if each.program.tenant == "cedars")
PROGRAM, POLICY = LOADED.program, LOADED.program.policy
CARE = POLICY.windows.care


def problems(**changes: Any) -> list[str]:
    """What is wrong, without the place, when the program has these values."""
    found = check_program(replace(LOADED, program=PROGRAM.model_copy(update=changes)))
    return [each.reason.partition(": ")[2] for each in found]


def by_policy(**changes: Any) -> list[str]:
    return problems(policy=POLICY.model_copy(update=changes))


def by_window(name: str, hour: time = POLICY.hour, **changes: Any) -> list[str]:
    window = getattr(POLICY.windows, name).model_copy(update=changes)
    return by_policy(windows=POLICY.windows.model_copy(update={name: window}), hour=hour)


def by_paperwork(**changes: Any) -> list[str]:
    return by_policy(paperwork=POLICY.paperwork.model_copy(update=changes))


def by_steps(*steps: str, confirm_at: str | None = None) -> list[str]:
    visit = PROGRAM.visit_types["surgery"].model_copy(
        update={"steps": {"on-site": Steps(steps=steps, confirm_at=confirm_at)}}
    )
    return problems(visit_types={**PROGRAM.visit_types, "surgery": visit})


def test_as_shipped_nothing_is_wrong() -> None:
    assert problems() == []


@pytest.mark.parametrize(
    ("step", "minutes"), [("P1D", 1440), ("P14D", 20160), ("PT2H", 120), ("PT90M", 90), ("P0D", 0)]
)
def test_a_step_says_how_long_before_it_is(step: str, minutes: int) -> None:
    assert minutes_before(step) == minutes


@pytest.mark.parametrize("steps", [("P14D", "P1D"), ("PT25H", "P1D"), ("P1D", "PT23H"), ("PT2H", "PT119M"), ("P1D",)])
def test_steps_that_go_from_the_earliest_to_the_latest_are_right(steps: tuple[str, ...]) -> None:
    assert by_steps(*steps) == []


@pytest.mark.parametrize("steps", [("P1D", "P14D"), ("P1D", "PT24H"), ("PT2H", "PT120M"), ("P1D", "P1D")])
def test_steps_in_another_order_or_twice_are_not(steps: tuple[str, ...]) -> None:
    assert by_steps(*steps) == ["must go from the earliest to the latest, each once"]


def test_a_visit_has_steps_in_some_modality_and_asks_to_confirm_at_one_of_them() -> None:
    assert by_steps() == ["has no step"]
    assert by_steps("P3D", "P1D", confirm_at="P3D") == []
    assert by_steps("P3D", "P1D", confirm_at="P2D") == ["asks to confirm at P2D, which is none of its steps"]
    nowhere = PROGRAM.visit_types["surgery"].model_copy(update={"steps": {}})
    assert problems(visit_types={**PROGRAM.visit_types, "surgery": nowhere}) == ["can be booked in no modality"]


@pytest.mark.parametrize("name", ["care", "notices", "trials"])
def test_each_window_is_open_on_some_day_for_some_time(name: str) -> None:
    window = getattr(POLICY.windows, name)
    assert "closes before it opens" in by_window(name, closes=window.opens)
    assert by_window(name, closes=time(window.opens.hour + 2)) == []
    assert by_window(name, weekdays=frozenset()) == ["is open on no day"]


def test_the_hour_of_the_steps_lies_in_the_window_for_care() -> None:
    assert by_window("care", hour=CARE.opens) == []
    assert by_window("care", hour=CARE.closes) == ["is outside the window for care"]
    assert by_window("care", hour=time(8, 59)) == ["is outside the window for care"]


@pytest.mark.parametrize(
    ("opens", "closes", "right"),
    [(time(9), time(9), False), (time(9), time(9, 1), True), (time(9), None, True), (None, time(9), True)],
)
def test_staffed_hours_end_after_they_begin(opens: time | None, closes: time | None, right: bool) -> None:
    found = problems(staffed_opens=opens, staffed_closes=closes)
    assert found == ([] if right else ["is not after staffed_opens"])


def test_a_rung_rides_on_some_step_or_is_a_mail_of_its_own_and_only_rungs_are() -> None:
    assert by_paperwork(rungs=("P14D", "P3D"), own=()) == []
    assert by_paperwork(rungs=("P14D", "P9D", "P3D"), own=("P9D",)) == []
    assert by_paperwork(rungs=("P14D", "P9D"), own=()) == ["P9D rides on no visit's step and is no mail of its own"]
    assert by_paperwork(rungs=("P14D", "P3D"), own=("P9D",)) == ["P9D is no rung"]
    assert by_paperwork(rungs=("P3D", "P14D"), own=()) == ["must go from the earliest to the latest, each once"]


def test_what_to_prepare_is_shown_at_steps_of_visits_that_have_it() -> None:
    def item(*steps: str) -> PreparationItem:
        return PreparationItem(text="Bring your questions.", steps=frozenset(steps))

    assert problems(preparation=(item("P14D", "P3D"),)) == []
    assert problems(preparation=(item(),)) == ["is shown at no step"]
    assert problems(preparation=(item("P9D", "P3D", "P8D"),)) == [
        "P8D is a step of no visit with preparation", "P9D is a step of no visit with preparation",
    ]  # fmt: skip
    assert problems(preparation=()) == ["ask for a preparation that isn't there"]
    plain = {code: kind.model_copy(update={"preparation": False}) for code, kind in PROGRAM.visit_types.items()}
    assert problems(preparation=(), visit_types=plain) == []


@pytest.mark.parametrize("zone", ["America/Nowhere", "", "../zone"])
def test_a_program_is_in_a_zone_that_exists(zone: str) -> None:
    assert problems(zone=zone) == ["is not the name of a time zone"]


def test_only_plain_words_of_a_full_name_may_stay_readable() -> None:
    plain = "The Program for Care of and at a Clinic, Center or Centre in the Care of Northern California"
    assert problems(full_name=plain, public_name="Or", deny_list=("northern", "california")) == []
    named = problems(full_name="Northern Leak Program in Los Angeles", public_name="Other", deny_list=("leak",))
    assert named == ["lacks 'northern' of the program's full name"]
    assert problems(full_name="Leak Program", public_name="Other", deny_list=("leaks",)) == [
        "lacks 'leak' of the program's full name"
    ]
    assert problems(full_name="Spine Leak Center", public_name="Other", deny_list=("spine leak", "spine")) == []
