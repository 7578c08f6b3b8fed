"""Who leads: a lease that is kept for as long as the same instance asks again in time."""

import time
import uuid

from sqlalchemy import Table

from chassis import leases
from chassis.store import Store


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
                held = await leases.take(connection, self._table, self._name, self._token, self._seconds)
            self._held_since = now if held else None
        return self._held_since is not None

    async def release(self) -> None:
        """Let another have it at once, if it is ours."""
        async with self._store.write() as connection:
            await leases.release(connection, self._table, self._name, self._token)
