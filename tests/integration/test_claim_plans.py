"""What runs every half second looks at the few rows that are open, never at the whole ledger."""

import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
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
async def test_no_claim_scans_the_ledger(query: str, store_settings: StoreSettings) -> None:
    async with clinic(store_settings, NOBODY) as desk, desk.notifier.store.write() as connection:
        asked: dict[str, Callable[[], Awaitable[object]]] = {
            "due": lambda: claim_due(connection, NOON, new_id(), 4),
            "uncertain": lambda: claim_uncertain(connection, NOON, new_id(), 4),
            "claimed": lambda: release_expired(connection),
            "sending": lambda: expired_sending(connection),
            "replannable": lambda: get_replannable(connection, NOON, 100),
        }
        with statements(connection) as seen:
            await asked[query]()
        assert seen
        for statement, parameters in seen:
            assert not [each for each in await plan(connection, statement, parameters) if WHOLE.search(each)], statement


async def plan(connection: AsyncConnection, statement: str, parameters: Sequence[Any]) -> list[str]:
    """The steps as the store tells them. PostgreSQL is told to think of the tables as large."""
    explain = "EXPLAIN QUERY PLAN"
    if connection.dialect.name == "postgresql":
        await connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        explain = "EXPLAIN"
    steps = await connection.exec_driver_sql(f"{explain} {statement}", tuple(parameters))
    return [str(each[-1]) for each in steps]


WHOLE = re.compile(
    r"""^SCAN\ (deliveries|mails)$ | ^SEARCH\ deliveries\ USING\ INDEX\ deliveries_patient\ \(tenant=\?\)$
    | Seq\ Scan\ on\ (deliveries|mails)\b | Scan\ (using|on)\ deliveries_(pkey|dedup|patient|mail)\b""",
    re.VERBOSE,
)
"""What SQLite and PostgreSQL say where they look at all rows, or at all of a tenant's."""
