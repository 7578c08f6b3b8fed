"""A service's process: ``python -m services.<name> serve`` or ``migrate``, with settings from its environment."""

import asyncio
import sys
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from fastapi import FastAPI

from chassis import garbage, logs
from chassis.http_server import serve
from chassis.migrations import migrate
from chassis.settings import ServiceSettings
from chassis.store import Store
from chassis.supervisor import Part, Supervisor
from schemas.yaml_files import ProgramFilesError

S = TypeVar("S", bound=ServiceSettings)


class Service(Protocol):
    """What a composition root makes: not started, and closed by whoever stops it."""

    @property
    def app(self) -> FastAPI: ...
    @property
    def supervisor(self) -> Supervisor: ...
    @property
    def parts(self) -> Sequence[Part]: ...
    @property
    def store(self) -> Store: ...
    async def close(self) -> None: ...


def run(arguments: Sequence[str], package: str, settings: type[S], build: Callable[[S], Service]) -> int:
    """The exit status: 2 for a command that isn't one, 1 for files that make no sense (file, line, reason)."""
    command = {"serve": _serve, "migrate": _migrate}.get(arguments[0]) if len(arguments) == 1 else None
    if command is None:
        sys.stderr.write(f"usage: python -m {package} {{serve|migrate}}\n")
        return 2
    chosen = settings()
    logs.configure(chosen.observability)
    logs.bind_service(package.rpartition(".")[2])
    try:
        return asyncio.run(command(chosen, package, build))
    except ProgramFilesError as error:
        sys.stderr.write(f"{error}\n")
        return 1


async def _serve(settings: S, package: str, build: Callable[[S], Service]) -> int:
    """Until a signal or a dead part."""
    service = build(settings)
    try:
        if settings.store.migrate_at_start:
            await migrate(service.store, package)
        garbage.keep_what_is_loaded()
        return await serve(service.app, settings.http, service.supervisor)
    finally:
        await service.close()


async def _migrate(settings: S, package: str, _build: Callable[[S], Service]) -> int:
    """Bring the store up to this version."""
    store = Store(settings.store)
    try:
        await migrate(store, package)
    finally:
        await store.close()
    return 0
