"""How many inputs are tried: some in every run, as many as ``FUZZ`` says in the long one."""

import os
from collections.abc import Iterator
from random import Random

import pytest

INPUTS = int(os.environ.get("FUZZ", "600"))
"""Of all tests of this folder together; ``make fuzz`` asks for 100,000."""

EACH = INPUTS // 13
"""Of one test: there are thirteen, six of them of HTTP and three of records, for each service."""

time_limit = pytest.mark.timeout(120 + INPUTS / 20)
"""At 20 inputs a second a test would be called hung."""


def chances(test: str) -> Iterator[Random]:
    """A source of chance for each input of one test, the same in every run."""
    return (Random(f"{test} {number}") for number in range(EACH))
