"""One started hospital for all tests of a module, and a town of each test's own in it."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from standalone.demo.equation import equation
from tests.support.hospital import Hospital, Town, next_morning, open_hospital


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hospital(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Hospital]:
    async with open_hospital(tmp_path_factory.mktemp("hospital")) as opened:
        yield opened


@pytest_asyncio.fixture(loop_scope="module")
async def town(hospital: Hospital) -> AsyncIterator[Town]:
    """A follow-up on ``day(9)`` has its P7D on ``day(2)`` and its P1D on ``day(8)``, at 10:00 each."""
    yield await next_morning(hospital)
    books = await equation(hospital.system)
    assert books.balanced, str(books)
