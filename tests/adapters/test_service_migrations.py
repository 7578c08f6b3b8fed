"""Each service's own history makes, on both databases, the tables of its code."""

import pytest

from chassis.migrations import drift, migrate
from chassis.store import Store


@pytest.mark.parametrize("package", ["services.intake", "services.notifier", "services.trials"])
async def test_a_services_history_ends_in_the_tables_of_its_code(store: Store, package: str) -> None:
    await migrate(store, package)
    assert await drift(store, package) == []
