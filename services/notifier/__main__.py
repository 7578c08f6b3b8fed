"""The process: ``python -m services.notifier serve`` or ``migrate``; settings from the environment (``NOTIFIER_…``)."""

import asyncio
import sys
from collections.abc import Sequence

from chassis import logs
from chassis.clock import SystemClock
from chassis.http_server import serve
from chassis.migrations import migrate
from chassis.store import Store
from schemas.program_checks import sound_programs
from schemas.yaml_files import ProgramFilesError
from services.notifier.app import build
from services.notifier.settings import NotifierSettings

PACKAGE = "services.notifier"


async def run(settings: NotifierSettings) -> int:
    """Serve until a signal or a dead part; the exit status."""
    programs = sound_programs(settings.programs)
    notifier = build(settings, SystemClock(), programs)
    try:
        if settings.store.migrate_at_start:
            await migrate(notifier.store, PACKAGE)
        return await serve(notifier.app, settings.http, notifier.supervisor)
    finally:
        await notifier.close()


async def run_migrations(settings: NotifierSettings) -> int:
    """Bring the store up to this version; the exit status."""
    store = Store(settings.store)
    try:
        await migrate(store, PACKAGE)
    finally:
        await store.close()
    return 0


COMMANDS = {"serve": run, "migrate": run_migrations}


def main(arguments: Sequence[str]) -> int:
    """Exit status 2 for a command that isn't one, 1 for programs that don't make sense: file, line, reason."""
    command = COMMANDS.get(arguments[0]) if len(arguments) == 1 else None
    if command is None:
        sys.stderr.write(f"usage: python -m {PACKAGE} {{{'|'.join(COMMANDS)}}}\n")
        return 2
    settings = NotifierSettings()
    logs.configure(settings.observability)
    logs.bind_service("notifier")
    try:
        return asyncio.run(command(settings))
    except ProgramFilesError as error:
        sys.stderr.write(f"{error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
