"""What runs every half second looks at the few rows that are open, never at the whole ledger."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.settings import StoreSettings
from services.notifier.store.claims import claim_due, claim_uncertain
from services.notifier.store.patients import get_replannable
from services.notifier.store.releases import expired_sending, release_expired
from tests.support.clinic import NOON, clinic, new_id

NOBODY = 9


@contextmanager
def statements(connection: AsyncConnection) -> Iterator[list[tuple[str, Sequence[Any]]]]:
    seen: list[tuple[str, Sequence[Any]]] = []

    def notice(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        seen.append((statement, parameters))

    event.listen(connection.sync_connection, "before_cursor_execute", notice)
    yield seen
    event.remove(connection.sync_connection, "before_cursor_execute", notice)


@pytest.mark.parametrize("query", ["due", "uncertain", "claimed", "sending", "replannable"])
async def test_no_claim_scans_the_ledger(query: str, tmp_path: Path) -> None:
    async with (
        clinic(StoreSettings(url=f"sqlite:///{tmp_path / 'store.db'}"), NOBODY) as desk,
        desk.notifier.store.write() as connection,
    ):
        asked: dict[str, Callable[[], Awaitable[object]]] = {
            "due": lambda: claim_due(connection, NOON, new_id(), 4),
            "uncertain": lambda: claim_uncertain(connection, NOON, new_id(), 4),
            "claimed": lambda: release_expired(connection),
            "sending": lambda: expired_sending(connection),
            "replannable": lambda: get_replannable(connection, NOON, 100),
        }
        with statements(connection) as seen:
            await asked[query]()
        for statement, parameters in seen:
            steps = await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", tuple(parameters))
            plan = [str(row.detail) for row in steps]
            whole = ("SCAN deliveries", "SCAN mails", "SEARCH deliveries USING INDEX deliveries_patient (tenant=?)")
            assert not set(plan) & set(whole), statement
