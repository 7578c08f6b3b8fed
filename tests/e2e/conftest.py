"""What all tests of a module share: a started hospital on each stage, or a pair of servers that they may crash."""

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from standalone.demo.equation import equation
from tests.support.hospital import Hospital, Town, next_morning, open_hospital
from tests.support.servers import Pair, own_pair
from tests.support.stage import STAGES, servers_of


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=STAGES)
async def hospital(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Hospital]:
    folder = tmp_path_factory.mktemp("hospital")
    async with servers_of(request.param) as outside, open_hospital(folder, outside) as opened:
        yield opened


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    """Needs ``TEST_SERVERS``: ``CRASHES_SERVERS``."""
    with own_pair() as mine:
        yield mine


@pytest_asyncio.fixture(loop_scope="module")
async def town(hospital: Hospital) -> AsyncIterator[Town]:
    """A follow-up on ``day(9)`` has its P7D on ``day(2)`` and its P1D on ``day(8)``, at 10:00 each."""
    yield await next_morning(hospital)
    books = await equation(hospital.system)
    assert books.balanced, str(books)
