"""What is protected shows itself nowhere: text, format, log, model, validation error, exception."""

import io
import json
import logging
import traceback
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from pydantic import ValidationError

from schemas.appointment import PaperworkItemPosted
from schemas.base import Contract
from schemas.blocks import BLOCKS, Block
from schemas.patient import ContactBlock, PatientPosted
from schemas.protected import Protected
from standalone.contracts.people import ITEM, SEALED

SECRET = Protected("Zoe-Secret")


def _logged(value: object) -> str:
    stream = io.StringIO()
    logger = logging.getLogger("protected-test")
    handler = logging.StreamHandler(stream)
    logger.addHandler(handler)
    logger.warning("%s and %r", value, value)
    logger.removeHandler(handler)
    return stream.getvalue()


def _raised(value: object) -> str:
    try:
        raise ValueError(value)
    except ValueError as error:
        return "".join(traceback.format_exception(error))


@pytest.mark.parametrize(
    "shown",
    [str, repr, "{}".format, "{!r:>40}".format, lambda v: f"{v:<30}", _logged, _raised,
     lambda v: str([v]), lambda v: str({"a": v}), ascii],
)  # fmt: skip
def test_a_protected_value_is_redacted_in(shown: Callable[[object], str]) -> None:
    assert "Secret" not in shown(SECRET)
    assert "<protected>" in shown(SECRET)


def test_it_is_revealed_on_purpose_alone_and_equals_its_like() -> None:
    assert SECRET.reveal() == "Zoe-Secret"
    assert SECRET == Protected("Zoe-Secret") != Protected("other")
    assert len({SECRET, Protected("Zoe-Secret")}) == 1
    assert SECRET != "Zoe-Secret"


def test_it_shows_one_word_and_has_no_fields_for_a_serialiser_to_walk() -> None:
    assert {str(SECRET), repr(SECRET), f"{SECRET}", f"{SECRET:>40}"} == {"<protected>"}
    with pytest.raises(TypeError):
        vars(SECRET)


@pytest.mark.parametrize("block", BLOCKS, ids=lambda each: each.name)
def test_no_block_shows_a_value_in_its_repr(block: Block) -> None:
    assert shown_of(block.model.strict_json(json.dumps(SEALED[block.model]))) == set()


@pytest.mark.parametrize(
    "posted",
    [
        PatientPosted.strict_data({"contact": SEALED[ContactBlock], "sex": "female"}),
        PaperworkItemPosted.strict_data({"item_id": ITEM, "form": "patient-intake"}),
    ],
    ids=lambda each: type(each).__name__,
)
def test_nothing_posted_shows_it_either(posted: Contract) -> None:
    assert shown_of(posted) == set()


def shown_of(model: Contract) -> set[str]:
    """What stands in a model's texts of what ``SEALED`` holds."""
    shown = f"{model} {model!r} {_logged(model)} {_raised(model)}"
    person = {"Zoë", "Example", "zoe@", "1980", "0199", "female"}
    care = {"Clinician", "consultation", "site=", "patient-intake", "'example", "value="}
    return {word for word in person | care if word in shown}


def test_a_block_carries_its_values_when_it_is_sealed() -> None:
    plain = json.dumps(SEALED[ContactBlock])
    model = ContactBlock.strict_json(plain)
    assert ContactBlock.strict_json(model.model_dump_json()) == model
    assert json.loads(model.model_dump_json())["given_name"] == "Zoë"
    assert model.birth_date.reveal() == date(1980, 2, 29)


@pytest.mark.parametrize(
    "spoilt",
    [
        {"given_name": "Zoe\nSecret"}, {"given_name": ["Zoe-Secret"]}, {"email": "Zoe-Secret" * 40},
        {"birth_date": "Zoe-Secret"}, {"phone": "\u202eZoe-Secret"}, {"language": "Zoe-Secret"},
        {"email_verified_at": "Zoe-Secret"},
    ],
    ids=str,
)  # fmt: skip
def test_no_validation_error_shows_what_stood_there(spoilt: dict[str, Any]) -> None:
    good = {"given_name": "Ana", "family_name": "Example", "birth_date": "1980-01-01"}
    with pytest.raises(ValidationError) as caught:
        PatientPosted.strict_json(json.dumps({"contact": good | spoilt}))
    shown = f"{caught.value} {caught.value!r} {_raised(caught.value)} {_logged(caught.value)}"
    assert "Secret" not in shown
