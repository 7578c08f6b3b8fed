"""What is known of a patient on a day, from what several sources recorded."""

import random
from datetime import UTC, date, datetime
from typing import Any

import pytest

from schemas.vocabulary import Vocabulary
from services.trials.facts.merge import merged
from services.trials.facts.picture import NEVER, Happening, Known, Picture, RecordedFact, Traits, Unknown, picture

TODAY = date(2027, 3, 10)
VOCABULARY = Vocabulary.strict_data({
    "facts": {
        "pregnant": {"label": "pregnant", "type": "boolean", "valid_for": "P28D"},
        "kind": {"label": "kind", "type": "code", "values": {"a": "an a", "b": "a b"}},
        "pressure": {"label": "pressure", "type": "number", "unit": "cm[H2O]", "latest": True, "valid_for": "P90D"},
        "allergies": {"label": "allergies", "type": "codes"},
        "onset": {"label": "onset", "type": "date"},
        "patch": {"label": "patch", "type": "events", "fields": {
            "level": {"label": "level", "type": "code"}, "volume": {"label": "volume", "type": "number", "unit": "mL"},
        }},
    },
    "derived": {
        "onset-days": {"label": "days since onset", "derive": "days-since", "of": "onset"},
        "onset-months": {"label": "months since onset", "derive": "months-since", "of": "onset"},
        "patch-days": {"label": "days since the last patch", "derive": "days-since", "of": "patch"},
    },
})  # fmt: skip


def fact(name: str, value: Known, source: str = "desk", on: date = TODAY, **more: Any) -> RecordedFact:
    return RecordedFact(name, value, source, on, **more)


def known(*recorded: RecordedFact, as_of: date = TODAY, traits: Traits | None = None) -> Picture:
    return picture(recorded, traits or Traits(), VOCABULARY, as_of)


def day(text: str) -> date:
    return date.fromisoformat(text)


def patch(on: str | None, **fields: str | float) -> Happening:
    return Happening(day(on) if on else None, fields)


def test_what_nobody_told_is_missing() -> None:
    assert known().value("kind") is Unknown.MISSING
    assert known().values == {}


def test_a_value_is_known_with_the_fact_behind_it() -> None:
    told = fact("kind", "a")
    assert (known(told).value("kind"), known(told).behind["kind"]) == ("a", (told,))


def test_none_known_is_known() -> None:
    found = known(fact("allergies", frozenset()), fact("patch", ()))
    assert (found.value("allergies"), found.value("patch")) == (frozenset(), ())


def test_a_value_is_stale_from_the_day_on_which_it_ends() -> None:
    told = fact("kind", "a", on=day("2027-03-01"), valid_until=TODAY)
    assert known(told, as_of=day("2027-03-09")).value("kind") == "a"
    assert known(told).value("kind") is Unknown.STALE
    assert known(told).behind["kind"] == (told,)


def test_the_vocabulary_says_how_long_a_value_holds_unless_the_fact_does() -> None:
    told = fact("pregnant", False, on=day("2027-02-10"))
    assert known(told, as_of=day("2027-03-09")).value("pregnant") is False
    assert known(told).value("pregnant") is Unknown.STALE
    longer = fact("pregnant", False, on=day("2027-02-10"), valid_until=day("2027-03-11"))
    assert known(longer).value("pregnant") is False


def test_a_newer_observation_of_a_source_replaces_its_older_one() -> None:
    older, newer = fact("kind", "a", on=day("2027-01-01")), fact("kind", "b", on=day("2027-02-01"))
    assert known(newer, older).value("kind") == "b"
    assert known(newer, older).behind["kind"] == (newer,)


def test_it_does_so_within_one_day_too() -> None:
    at = datetime(2027, 3, 10, 17, 0, tzinfo=UTC)
    first, second = (fact("kind", "ab"[n], observed_at=at.replace(hour=17 + n)) for n in (0, 1))
    assert known(second, first).value("kind") == known(first, second).value("kind") == "b"


def test_a_stale_observation_does_not_bring_back_an_older_one_of_its_source() -> None:
    older = fact("kind", "a", on=day("2027-01-01"))
    newer = fact("kind", "b", on=day("2027-02-01"), valid_until=day("2027-03-01"))
    assert known(older, newer).value("kind") is Unknown.STALE


def test_sources_that_agree_are_known_and_all_stand_behind_it() -> None:
    assert known(fact("kind", "a"), fact("kind", "a", "clinic")).value("kind") == "a"
    assert len(known(fact("kind", "a"), fact("kind", "a", "clinic")).behind["kind"]) == 2


def test_sources_that_differ_are_in_conflict_however_old_they_are() -> None:
    told = fact("kind", "a"), fact("kind", "b", "clinic", on=day("2026-01-01"))
    assert known(*told).value("kind") is Unknown.CONFLICT
    assert len(known(*told).behind["kind"]) == 2


def test_a_stale_source_is_in_conflict_with_nobody() -> None:
    told = fact("kind", "a"), fact("kind", "b", "clinic", on=day("2026-01-01"), valid_until=day("2027-03-10"))
    assert known(*told).value("kind") == "a"
    assert known(*told, as_of=day("2027-03-10")).behind["kind"] == told[:1]


def test_the_latest_counts_where_the_vocabulary_says_so() -> None:
    older, newer = fact("pressure", 12, "clinic", on=day("2027-01-01")), fact("pressure", 4, on=day("2027-02-01"))
    assert known(older, newer).value("pressure") == 4
    agreeing = fact("pressure", 4, "clinic", on=day("2027-02-01"))
    assert known(newer, agreeing).behind == known(agreeing, newer).behind == {"pressure": (agreeing, newer)}
    same_day = fact("pressure", 9, "clinic", on=day("2027-02-01"))
    assert known(same_day, newer).value("pressure") is Unknown.CONFLICT


def test_where_the_latest_counts_a_stale_one_is_not_overruled_by_an_older() -> None:
    older = fact("pressure", 12, "clinic", on=day("2027-01-01"), valid_until=day("2028-01-01"))
    newer = fact("pressure", 4, on=day("2027-02-01"), valid_until=day("2027-03-01"))
    assert known(older, newer).value("pressure") is Unknown.STALE


def test_what_was_observed_later_is_not_seen() -> None:
    told = fact("kind", "a", on=day("2027-01-01")), fact("kind", "b", on=day("2027-03-11"))
    assert known(*told).value("kind") == "a"
    assert known(*told, as_of=day("2027-03-11")).value("kind") == "b"


def test_a_fact_that_the_vocabulary_does_not_know_or_not_so_is_not_seen() -> None:
    assert (
        known(fact("colour", "red"), fact("kind", True), fact("pressure", True), fact("onset", "2027-01-01")).values
        == {}
    )


def test_the_person_is_never_recorded() -> None:
    found = known(fact("sex", "male"), fact("age", 3), traits=Traits(day("1980-02-29"), "female"))
    assert (found.value("sex"), found.value("age"), found.value("birth-date")) == ("female", 47, day("1980-02-29"))
    assert known(traits=Traits(sex="unknown")).value("sex") is Unknown.MISSING
    assert known(traits=Traits(birth_date=day("2027-03-11"))).value("age") is Unknown.MISSING


@pytest.mark.parametrize(
    ("born", "as_of", "age", "months"),
    [
        ("1980-02-29", "2027-02-28", 46, 563),
        ("1980-02-29", "2027-03-01", 47, 564),
        ("1980-02-29", "2028-02-28", 47, 575),
        ("1980-02-29", "2028-02-29", 48, 576),
        ("1980-03-10", "2027-03-09", 46, 563),
        ("1980-03-10", "2027-03-10", 47, 564),
        ("2027-01-31", "2027-02-28", 0, 0),
        ("2027-01-31", "2027-03-01", 0, 1),
        ("2027-03-10", "2027-03-10", 0, 0),
    ],
)
def test_age_is_counted_by_calendar(born: str, as_of: str, age: int, months: int) -> None:
    found = known(as_of=day(as_of), traits=Traits(day(born)))
    assert (found.value("age"), found.value("age-in-months")) == (age, months)


def test_derived_facts_count_from_a_date() -> None:
    told = fact("onset", day("2027-01-10"))
    found = known(told)
    assert (found.value("onset-days"), found.value("onset-months"), found.behind["onset-days"]) == (59, 2, (told,))


def test_derived_facts_are_unknown_as_their_input_is() -> None:
    assert known().value("onset-days") is Unknown.MISSING
    two = fact("onset", day("2027-01-10")), fact("onset", day("2027-01-11"), "clinic")
    assert known(*two).value("onset-days") is Unknown.CONFLICT
    old = fact("onset", day("2027-01-10"), on=day("2027-01-10"), valid_until=TODAY)
    assert known(old).value("onset-days") is Unknown.STALE


def test_a_day_yet_to_come_is_not_known_yet() -> None:
    found = known(fact("onset", day("2027-03-11")), fact("patch", (patch("2027-03-10"), patch("2027-03-20"))))
    assert (found.value("onset"), found.value("onset-days")) == (Unknown.MISSING, Unknown.MISSING)
    assert (found.value("patch"), found.value("patch-days")) == ((patch("2027-03-10"),), 0)


def test_days_since_an_event_count_from_the_last() -> None:
    assert known(fact("patch", (patch("2027-03-01"), patch("2027-02-01")))).value("patch-days") == 9


def test_where_there_was_no_event_it_is_for_ever_ago() -> None:
    assert known(fact("patch", ())).value("patch-days") == NEVER


def test_an_event_without_a_date_could_be_the_last() -> None:
    assert known(fact("patch", (patch("2027-03-01"), patch(None)))).value("patch-days") is Unknown.MISSING


def test_lists_of_events_are_merged_by_source() -> None:
    desk = fact("patch", (patch("2027-01-01"),))
    clinic = fact("patch", (patch("2027-02-01", level="thoracic"),), "clinic")
    assert known(desk, clinic).value("patch") == (patch("2027-01-01"), patch("2027-02-01", level="thoracic"))
    assert known(desk, fact("patch", (), "clinic")).value("patch") == (patch("2027-01-01"),)


def test_a_list_is_told_whole_so_the_newer_list_of_a_source_replaces_its_older() -> None:
    older = fact("patch", (patch("2027-01-01"),), on=day("2027-01-02"))
    assert known(older, fact("patch", ())).value("patch") == ()


def test_two_sources_that_tell_of_one_day_tell_of_one_event() -> None:
    one, other = [patch("2027-01-01", level="thoracic")], [patch("2027-01-01", volume=20)]
    assert merged([one, other]) == (patch("2027-01-01", level="thoracic", volume=20),)


def test_what_they_disagree_on_is_unknown() -> None:
    one, other = [patch("2027-01-01", level="thoracic", volume=20)], [patch("2027-01-01", level="lumbar", volume=20)]
    assert merged([one, other]) == (patch("2027-01-01", volume=20),)


@pytest.mark.parametrize("level", ["thoracic", "lumbar"])
def test_two_events_of_a_day_meet_their_like(level: str) -> None:
    one = [patch("2027-01-01", level="thoracic"), patch("2027-01-01", level="lumbar")]
    found = merged([one, [patch("2027-01-01", level=level, volume=20)]])
    assert {(each.fields["level"], each.fields.get("volume")) for each in found} == {
        (level, 20), ("thoracic" if level == "lumbar" else "lumbar", None),
    }  # fmt: skip


def test_an_undated_event_takes_the_date_of_the_one_it_meets_and_a_dated_one_meets_its_own_day_first() -> None:
    one = [patch("2027-01-01"), patch(None)]
    assert merged([one, [patch("2027-02-01")]]) == (patch("2027-01-01"), patch("2027-02-01"))
    same_day = [patch("2027-01-01", volume=20)]
    assert merged([one, same_day]) == (patch("2027-01-01", volume=20), patch(None))
    assert merged([[patch("2027-01-01", volume=10), patch(None)], same_day]) == (patch("2027-01-01"), patch(None))


def test_an_undated_event_is_any_that_it_does_not_contradict() -> None:
    dated = [patch("2027-01-01", level="thoracic")]
    assert merged([dated, [patch(None, volume=20)]]) == (patch("2027-01-01", level="thoracic", volume=20),)
    assert merged([dated, [patch(None, level="lumbar")]]) == (*dated, patch(None, level="lumbar"))


def test_events_of_one_source_are_never_taken_for_the_same() -> None:
    assert merged([[patch(None), patch(None)]]) == (patch(None), patch(None))


def test_the_order_in_which_facts_came_in_makes_no_difference() -> None:
    dice = random.Random(1)
    names: dict[str, list[Known]] = {
        "kind": ["a", "b"], "pressure": [4, 12], "onset": [day("2027-01-01"), day("2027-02-01")],
        "patch": [(), (patch("2027-01-01", level="a"),), (patch("2027-01-01", level="b"), patch(None))],
    }  # fmt: skip
    for _ in range(200):
        told = [
            fact(name, dice.choice(values), dice.choice("abc"), date(2027, 1, dice.randint(1, 3)))
            for name, values in names.items() for _ in range(4)
        ]  # fmt: skip
        shuffled = dice.sample(told, len(told))
        assert known(*told).values == known(*shuffled).values


def test_nothing_clinical_is_shown_when_facts_and_pictures_are_printed() -> None:
    told = fact("patch", (patch("2026-05-05", level="thoracic"),), "Dr. Example")
    shown = f"{told} {known(told)} {Traits(day('1980-02-29'), 'female')}"
    for secret in ("2026", "thoracic", "Example", "1980", "female"):
        assert secret not in shown
