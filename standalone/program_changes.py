"""What changed program files would do to the notifier's mail, and making it so."""

from collections.abc import Mapping

from schemas.programs import Program
from services.notifier.mail_difference import MailDifference, difference_in_mails
from services.notifier.programs import apply
from services.notifier.settings import NotifierSettings
from standalone.commands.environment import notifier, settings_of


def takes_demo_values() -> bool:
    """Whether the notifier is one of ``upright up`` or the demo, whose programs have values made up for it."""
    return settings_of(NotifierSettings).kafka.embedded


async def look(new: Mapping[str, Program], patient_id: str | None = None) -> MailDifference:
    """What ``new`` would change, for one patient or for all; nothing is written."""
    async with notifier() as service:
        async with service.store.read() as connection:
            before = await service.planner.programs.current(connection)
        master, now = service.handlers.master, service.planner.clock.now()
        return await difference_in_mails(service.store, master, before, new, now, patient_id=patient_id)


async def apply_programs(new: Mapping[str, Program]) -> int:
    """Plan with ``new`` from now on; how many patients are planned again."""
    async with notifier() as service, service.store.write() as connection:
        demo = service.planner.programs.demo
        return await apply(connection, new, service.planner.clock.now(), demo=demo)
