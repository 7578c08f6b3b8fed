"""The deployment's story can be told at any hour of the year, and is always news of tomorrow."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from standalone.demo.story import CAST
from standalone.onstage.acts import DAYTIME, acts, address, daytime_zone

NOW = datetime(2027, 3, 2, 5, 30, tzinfo=UTC)


def test_it_is_always_daytime_somewhere() -> None:
    hours = (datetime(2027, 1, 1, tzinfo=UTC) + timedelta(hours=hour) for hour in range(365 * 24))
    assert [hour for hour in hours if hour.astimezone(ZoneInfo(daytime_zone(hour))).hour not in DAYTIME] == []


@pytest.mark.parametrize("hour", range(24))
def test_every_visit_is_within_a_day_and_ahead(hour: int) -> None:
    now = NOW.replace(hour=hour)
    visits = [each for act in acts("run", now) for each in act.happenings if each.event.startswith("appointment")]
    ahead = [datetime.fromisoformat(each.data["start"]) - now for each in visits]
    assert len(visits) == 7
    assert timedelta(hours=19) < min(ahead) <= max(ahead) < timedelta(hours=24)


def test_a_patient_is_registered_with_wishes_before_a_visit_is_booked() -> None:
    first, *_ = acts("run", NOW)
    booked = [number for number, each in enumerate(first.happenings) if each.event == "appointment.scheduled"]
    assert booked == list(range(len(first.happenings) - 4, len(first.happenings)))


def test_no_act_takes_a_mail_back_and_two_runs_share_no_address() -> None:
    counts = [sum(act.mails.values()) for act in acts("run", NOW)]
    assert counts == sorted(counts)
    assert len({address(name, run) for name in CAST for run in ("a", "b")}) == 2 * len(CAST)
