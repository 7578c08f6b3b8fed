"""What patients answer on a page: in force here at once, and told to the others, who make it the truth."""

import uuid

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.outbox import put
from chassis.sealing import Keyring
from schemas.outcomes import Answer, AnswerKind, Kind
from services.notifier.links import Link
from services.notifier.replan import Planner
from services.notifier.store.patients import lock_patients
from services.notifier.store.stops import add_stop
from services.notifier.tables import outbox


async def stop_trials(connection: AsyncConnection, planner: Planner, master: Keyring, link: Link) -> None:
    """No mail about trials from now on, also none that is planned or claimed. Once is enough; again does nothing.

    The new revision of the patient makes a sender look again whose guard has already said yes.
    """
    now = planner.clock.now()
    locked = await lock_patients(connection, [(link.tenant, link.patient_id)], master)
    answer = Answer(
        patient_id=link.patient_id, answer_id=str(uuid.uuid4()), answer=AnswerKind.STOPPED, given_at=now,
        program=link.program, kind=Kind.TRIAL_INVITATION,
    )  # fmt: skip
    if locked and await add_stop(connection, link.tenant, answer):
        await put(connection, outbox, [planner.publisher.answer(link.tenant, answer)])
        await planner.replan(connection, list(locked.values()), release_held=True)
