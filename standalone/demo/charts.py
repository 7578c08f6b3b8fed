"""What is recorded of the story's people who may meet trials, in the project's vocabulary. Invented, like the people.

A pair is a value and its UCUM unit. Every value is still valid when the story ends.
"""

from collections.abc import Mapping
from typing import Any

_COMMON: Mapping[str, Any] = {
    "diagnosis": "spontaneous",
    "explained-by-other-diagnosis": False,
    "secondary-headache-cause": False,
    "allergies": [],
    "anticoagulated": False,
    "active-infection": False,
    "bleeding-tendency": False,
    "blood-patch-contraindicated": False,
    "cognitive-impairment": False,
    "psychiatric-disorder": False,
    "language": "en",
    "language-barrier": False,
    "can-consent": True,
    "in-other-trial": False,
}

LOW_PRESSURE: Mapping[str, Any] = {
    **_COMMON,
    "pregnant": False,
    "opening-pressure": (4, "cm[H2O]"),
    "meningeal-diverticulum": True,
    "connective-tissue-disorder": "none",
    "distance": (120, "km"),
}
"""Frank's."""

FISTULA: Mapping[str, Any] = {
    **_COMMON,
    "pregnant": False,
    "leak-type": "type-3",
    "digital-subtraction-myelography": "positive",
    "blood-patch": [{"on": "2026-05-11"}, {"on": "2026-09-21"}],
    "embolization": [],
    "symptom-onset": "2026-01-16",
}
"""Grace's and Ivan's."""

FISTULA_BUT_ONE: Mapping[str, Any] = {
    **_COMMON,
    "leak-type": "type-3",
    "ct-myelography": "positive",
    "digital-subtraction-myelography": "not-done",
    "blood-patch": [{"on": "2026-12-03"}],
    "embolization": [],
    "symptom-onset": "2026-10-16",
}
"""Hana's: whether she is pregnant isn't known yet."""
