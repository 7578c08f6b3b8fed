"""A PostgreSQL that keeps its log, a copy of its files, and the way back to a moment: as the runbook says.

The low-level interface (PostgreSQL, "Continuous Archiving and Point-in-Time Recovery"), since a test's server comes
without ``pg_basebackup``.
"""

import asyncio
import os
import shutil
import subprocess
from datetime import datetime
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.settings import StoreSettings
from chassis.store import Store, is_outage
from tests.support.eventually import eventually
from tests.support.servers import Pair


class Backups:
    """Of one pair's PostgreSQL, which is restarted to begin with."""

    def __init__(self, pair: Pair) -> None:
        self._pair = pair
        self._data = self._copy = self._log = Path()
        self._owner = (os.geteuid(), os.getegid())

    async def begin(self) -> None:
        """Keep the log from now on, beside the data; then copy the files while the server works."""
        await self._up()
        self._data = Path(str(await self._ask("SHOW data_directory")))
        self._copy, self._log = self._data.with_name("copy"), self._data.with_name("log")
        self._owner = self._data.stat().st_uid, self._data.stat().st_gid
        self._log.mkdir()
        self._give_to_the_server(self._log)
        for setting in ("archive_mode = 'on'", f"archive_command = 'cp %p {self._log}/%f'"):
            await self._outside_a_transaction(f"ALTER SYSTEM SET {setting}")
        await asyncio.to_thread(self._pair.kill, "postgres")
        await self._up()
        store = self._store()
        async with store.write() as connection:  # one session from start to stop
            await connection.execute(text("SELECT pg_backup_start('upright', true)"))
            await asyncio.to_thread(self._copied)
            label = (await connection.execute(text("SELECT labelfile FROM pg_backup_stop(false)"))).scalar_one()
        await store.close()
        (self._copy / "backup_label").write_text(str(label))

    def _copied(self) -> None:
        """File by file, and the server goes on: what is torn the log mends. One that vanishes meanwhile is let go."""
        subprocess.run(["cp", "-a", str(self._data), str(self._copy)], check=False, capture_output=True)
        (self._copy / "postmaster.pid").unlink(missing_ok=True)
        shutil.rmtree(self._copy / "pg_wal")
        (self._copy / "pg_wal").mkdir(mode=0o700)

    async def now(self) -> datetime:
        """The server's time: a moment to come back to."""
        return datetime.fromisoformat(str(await self._ask("SELECT clock_timestamp()::text")))

    async def lose(self) -> None:
        """Crash, and lose the data; the log up to now was kept."""
        segment = str(await self._ask("SELECT pg_walfile_name(pg_switch_wal())"))
        await eventually((self._log / segment).exists, within=30)
        await asyncio.to_thread(self._pair.kill, "postgres")
        shutil.rmtree(self._data)

    async def restore(self, moment: datetime) -> None:
        """Up again from the copy, with everything that was committed by ``moment`` and nothing after it."""
        shutil.copytree(self._copy, self._data, symlinks=True)
        settings = {
            "restore_command": f"cp {self._log}/%f %p",
            "recovery_target_time": moment.isoformat(" "),
            "recovery_target_action": "promote",
        }
        with (self._data / "postgresql.auto.conf").open("a") as opened:
            opened.writelines(f"{name} = '{value}'\n" for name, value in settings.items())
        (self._data / "recovery.signal").touch()
        for path in (self._data, *self._data.rglob("*")):
            self._give_to_the_server(path)
        self._data.chmod(0o700)
        await self._up()

    async def _up(self) -> None:
        """Until it takes what is written."""
        await asyncio.to_thread(self._pair.up, "postgres")
        await eventually(self._is_itself, within=60)

    async def _is_itself(self) -> bool:
        try:
            return not await self._ask("SELECT pg_is_in_recovery()")
        except Exception as error:
            if not is_outage(error):
                raise
            return False

    def _give_to_the_server(self, path: Path) -> None:
        """A server started by root runs as another user."""
        os.chown(path, *self._owner, follow_symlinks=False)

    async def _ask(self, statement: str) -> object:
        store = self._store()
        try:
            async with store.write() as connection:
                return (await connection.execute(text(statement))).scalar_one()
        finally:
            await store.close()

    async def _outside_a_transaction(self, statement: str) -> None:
        store = self._store()
        try:
            async with store.write() as connection:
                await _as_it_is(connection, statement)
        finally:
            await store.close()

    def _store(self) -> Store:
        return Store(StoreSettings(url=self._pair.postgres, connections=1))


async def _as_it_is(connection: AsyncConnection, statement: str) -> None:
    """On the driver's own connection, which has begun nothing yet."""
    raw = await connection.get_raw_connection()
    assert raw.driver_connection is not None
    await raw.driver_connection.execute(statement)
