"""What changed program files would do to the notifier's mail, and making it so."""

from collections.abc import Mapping

from schemas.programs import Program
from services.notifier.mail_difference import MailDifference, difference_in_mails
from services.notifier.programs import DemoValuesRefused, apply
from standalone.commands.environment import notifier
from standalone.commands.errors import NO, Failure


async def look(new: Mapping[str, Program], patient_id: str | None = None) -> MailDifference:
    """What ``new`` would change, for one patient or for all; nothing is written."""
    async with notifier() as service:
        async with service.store.read() as connection:
            before = await service.planner.programs.current(connection)
        master, now = service.handlers.master, service.planner.clock.now()
        return await difference_in_mails(service.store, master, before, new, now, patient_id=patient_id)


async def apply_programs(new: Mapping[str, Program]) -> int:
    """Plan with ``new`` from now on; how many patients are planned again. ``Failure`` for demo values."""
    async with notifier() as service:
        demo = service.planner.programs.demo
        try:
            async with service.store.write() as connection:
                return await apply(connection, new, service.planner.clock.now(), demo=demo)
        except DemoValuesRefused as refused:
            raise Failure(f"{refused}. Only a notifier on the embedded broker takes them.", NO) from None
