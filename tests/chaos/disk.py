"""The store's disk is full: its tables move to a small file system, which something else fills."""

import asyncio
import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine

from chassis.store import is_outage
from tests.chaos.rounds import Fault, Scene
from tests.chaos.site import PATIENCE
from tests.support.eventually import eventually

SIZE_MB = 64
FULL_SECONDS = 10.0
NOBODY = 65534


def needs() -> str:
    """Why it can't be done here, or nothing."""
    if os.geteuid() != 0:
        return "only root can make a small file system"
    try:
        with _small():
            return ""
    except subprocess.CalledProcessError:
        return "no file system may be mounted here"


@contextmanager
def _small() -> Iterator[Path]:
    """A file system of ``SIZE_MB`` that PostgreSQL, which runs as nobody, may use."""
    with tempfile.TemporaryDirectory() as outer:
        Path(outer).chmod(0o755)
        inner = Path(outer) / "small"
        inner.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE_MB}m", "tmpfs", str(inner)], check=True)
        try:
            os.chown(inner, NOBODY, NOBODY)
            yield inner
        finally:
            subprocess.run(["umount", "--lazy", str(inner)], check=True)


async def full(scene: Scene) -> str:
    with _small() as folder:
        await _run(scene, f"CREATE TABLESPACE small LOCATION '{folder}'")
        await _move(scene, "pg_default", "small")
        await asyncio.to_thread(_fill, folder / "filler")
        await asyncio.sleep(FULL_SECONDS)  # an outage has a length
        (folder / "filler").unlink()
        await _move(scene, "small", "pg_default")
        await _run(scene, "DROP TABLESPACE small")
    return f"for {FULL_SECONDS:.0f} s"


async def _move(scene: Scene, old: str, new: str) -> None:
    """All tables and indexes of all services; again where that collides with what they are doing."""
    for what in ("TABLE", "INDEX"):
        statement = f"ALTER {what} ALL IN TABLESPACE {old} SET TABLESPACE {new}"
        await eventually(lambda statement=statement: _moved(scene, statement), within=PATIENCE)  # type: ignore[misc]  # bound now


async def _moved(scene: Scene, statement: str) -> bool:
    try:
        await _run(scene, statement)
    except DBAPIError as error:
        if not is_outage(error):  # a deadlock is one, too: the same again is right
            raise
        return False
    return True


async def _run(scene: Scene, statement: str) -> None:
    engine = create_async_engine(
        scene.site.pair.postgres.replace("postgresql://", "postgresql+asyncpg://"), isolation_level="AUTOCOMMIT"
    )
    try:
        async with engine.connect() as connection:
            await connection.execute(text(statement))
    finally:
        await engine.dispose()


def _fill(path: Path) -> None:
    """To the last byte."""
    with path.open("wb", buffering=0) as file:
        for size in (1 << 16, 1 << 12, 1):
            try:
                while True:
                    file.write(b"\0" * size)
            except OSError:
                continue


DISK = [Fault("disk of the store full", full, skip=needs)]
