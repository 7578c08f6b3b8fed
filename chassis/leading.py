"""Who leads: a lease that is kept for as long as the same instance asks again in time."""

import asyncio
import time
import uuid

from sqlalchemy import Table
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis import leases
from chassis.store import Store, is_outage

RELEASE_SECONDS = 3.0


class Lead:
    """One instance's claim to the lease ``name``: of all who ask for it, one has it at a time."""

    def __init__(self, store: Store, table: Table, name: str, seconds: float) -> None:
        self._store, self._table, self._name, self._seconds = store, table, name, seconds
        self._token = str(uuid.uuid4())
        self._held_since: float | None = None

    async def take(self) -> bool:
        """Whether the lease is ours, for three quarters of its time at least: it is renewed when one is over."""
        now = time.monotonic()
        if self._held_since is None or now - self._held_since > self._seconds / 4:
            async with self._store.write() as connection:
                held = await self.hold(connection)
            self._held_since = now if held else None
        return self._held_since is not None

    async def hold(self, connection: AsyncConnection) -> bool:
        """Whether the lease is ours for as long as this transaction lasts, however long: nobody takes it meanwhile."""
        return await leases.take(connection, self._table, self._name, self._token, self._seconds)

    async def release(self) -> None:
        """Let another have it at once, if it is ours. While the store doesn't answer, it runs out by itself."""
        self._held_since = None
        try:
            async with asyncio.timeout(RELEASE_SECONDS), self._store.write() as connection:
                await leases.release(connection, self._table, self._name, self._token)
        except Exception as error:
            if not is_outage(error):
                raise
