"""What ``upright doctor`` looks at: each service's settings, store, broker and programs, and the notifier's mail relay.

It changes nothing. A finding says what is the matter and what to do, and holds no value of a setting.
"""

import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import timedelta
from pathlib import Path

from sqlalchemy import select

from chassis.clock import SystemClock
from chassis.migrations import pending
from chassis.sealing import KeyringSettings
from chassis.settings import ServiceSettings
from chassis.store import Store, database_now, is_outage
from schemas.program_checks import sound_programs
from schemas.programs import Program
from schemas.yaml_files import ProgramFilesError
from services.intake.settings import IntakeSettings
from services.notifier.settings import NotifierSettings
from services.notifier.smtp import SmtpSettings, SmtpUnavailable
from services.notifier.smtp.opening import open_wire
from services.notifier.tables import arming
from services.trials.settings import TrialsSettings
from standalone.commands.environment import is_set, settings_of
from standalone.commands.errors import Failure
from standalone.doctor_kafka import look_at_kafka
from standalone.findings import Finding, Verdict

SERVICES: Mapping[str, type[ServiceSettings]] = {
    "intake": IntakeSettings,
    "notifier": NotifierSettings,
    "trials": TrialsSettings,
}
CLOCKS_APART = timedelta(seconds=5)
"""Two clocks further apart than this make times in the history, and the age of truth, hard to believe."""


async def examine() -> AsyncIterator[Finding]:
    """Everything, for each service that has settings in the environment."""
    known: dict[str, ServiceSettings] = {}
    for service, kind in SERVICES.items():
        if not is_set(f"{service.upper()}_"):
            continue
        try:
            known[service] = settings_of(kind)
        except Failure as failure:
            said = " ".join(str(failure).split())
            yield Finding(Verdict.WRONG, service, "settings", said, "mend these variables (docs/running.md)")
            continue
        yield Finding(Verdict.OK, service, "settings", "whole")
    for finding in _rings(known):
        yield finding
    for service, settings in known.items():
        async for finding in _service(service, settings):
            yield finding


async def _service(service: str, settings: ServiceSettings) -> AsyncIterator[Finding]:
    store = Store(settings.store)
    try:
        async for finding in look_at_store(service, store):
            yield finding
        async for finding in look_at_kafka(service, settings.kafka):
            yield finding
        for finding in look_at_programs(service, getattr(settings, "programs", None), settings.kafka.embedded):
            yield finding
        if isinstance(settings, NotifierSettings):
            yield await look_at_smtp(settings.smtp)
    finally:
        await store.close()


async def look_at_store(service: str, store: Store) -> AsyncIterator[Finding]:
    """Whether it answers, is migrated, and has this machine's time; for the notifier also who is armed."""

    def wrong(what: str, said: str, todo: str) -> Finding:
        return Finding(Verdict.WRONG, service, what, said, todo)

    try:
        async with store.read() as connection:
            theirs, ours = await connection.scalar(select(database_now())), SystemClock().now()
        missing = await pending(store, f"services.{service}")
    except Exception as error:
        away = is_outage(error)
        said = "doesn't answer" if away else f"refuses: {type(error).__name__}"
        name = f"{service.upper()}_STORE__URL"
        yield wrong("store", said, f"is it running, does {name} name it, and may this user connect?")
        return
    yield Finding(Verdict.OK, service, "store", f"{store.dialect} answers")
    if missing:
        yield wrong("migrations", f"lacks {', '.join(missing)}", f"upright {service} migrate")
    else:
        yield Finding(Verdict.OK, service, "migrations", "up to date")
    if theirs is None or abs(theirs - ours) > CLOCKS_APART:
        yield wrong("clock", "the store's differs from this machine's by over 5 s", "have both follow a time server")
    else:
        yield Finding(Verdict.OK, service, "clock", "as the store's")
    if service == "notifier" and not missing:
        yield await _armed(store)


async def _armed(store: Store) -> Finding:
    async with store.read() as connection:
        tenants = sorted((await connection.execute(select(arming.c.tenant))).scalars())
    if not tenants:
        todo = "upright notifier arm (docs/runbooks/arming.md)"
        return Finding(Verdict.NOTE, "notifier", "arming", "no tenant is armed: no mail goes out", todo)
    return Finding(Verdict.OK, "notifier", "arming", f"armed: {', '.join(tenants)}")


def look_at_programs(service: str, folder: Path | None, demo: bool) -> list[Finding]:
    """Whether the files load and mean sense, and which program still lacks what."""
    try:
        programs = sound_programs(folder, demo=demo)
    except (ProgramFilesError, OSError) as error:
        said = " ".join(str(error).split())
        return [Finding(Verdict.WRONG, service, "programs", said, "upright programs check")]
    found = [_incomplete(service, each) for each in programs.values() if each.missing]
    return found or [Finding(Verdict.OK, service, "programs", f"{len(programs)} complete")]


def _incomplete(service: str, program: Program) -> Finding:
    said = f"{program.public_code} sends nothing until it has {', '.join(program.missing)}"
    return Finding(Verdict.NOTE, service, "programs", said, "fill its site.yaml, then upright programs apply")


async def look_at_smtp(settings: SmtpSettings) -> Finding:
    """Connect, TLS, EHLO and AUTH as the sender does; no mail is begun."""
    try:
        wire = await open_wire(settings, settings.tls_context())
    except SmtpUnavailable as away:
        return Finding(Verdict.WRONG, "notifier", "smtp", str(away), "docs/runbooks/smtp.md")
    except (OSError, ssl.SSLError):
        said = "the CA file can't be read"
        return Finding(Verdict.WRONG, "notifier", "smtp", said, "mend NOTIFIER_SMTP__CA_FILE")
    await wire.quit()
    return Finding(Verdict.OK, "notifier", "smtp", "lets us in")


Ring = Callable[[ServiceSettings], KeyringSettings]
SHARED = (("intake", "notifier", "contact"), ("intake", "trials", "facts"))
"""Who seals for whom, with which ring."""


def _rings(known: Mapping[str, ServiceSettings]) -> list[Finding]:
    """Whether the reader has the key that the sealer uses now: else every event becomes a dead letter."""
    found = []
    for sealer, reader, name in SHARED:
        if sealer in known and reader in known:
            seals: KeyringSettings = getattr(known[sealer], name)
            opens: KeyringSettings = getattr(known[reader], name)
            if opens.keys.get(seals.active) == seals.keys[seals.active]:
                found.append(Finding(Verdict.OK, reader, "keys", f"opens what {sealer} seals ({name})"))
            else:
                said = f"can't open what {sealer} seals ({name}): it lacks that ring's active key"
                found.append(Finding(Verdict.WRONG, reader, "keys", said, "docs/runbooks/keys.md"))
    return found
