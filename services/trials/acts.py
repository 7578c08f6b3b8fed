"""What coordinators do with trials, under their key's scope: each act is one transaction, whole or not at all."""

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.api_keys import Caller
from chassis.problems import FieldError, Problem
from schemas.trials import RecruitmentStatus
from services.trials import views
from services.trials.checking import check
from services.trials.criteria.lint import Problem as Finding
from services.trials.desk import Desk, NotYetError
from services.trials.drafts import DraftPosted
from services.trials.registry.records import Read
from services.trials.registry.report import Line
from services.trials.registry.trial import RegistryTrial
from services.trials.resources import Resources
from services.trials.scoping import may_change, may_read
from services.trials.store.catalogue import StoredTrial, find_trial


async def take(resources: Resources, coordinator: Caller, reads: list[Read]) -> list[Line]:
    """Import records in one transaction: all that can be taken, or nothing when something fails half way."""
    async with resources.store.write() as connection:
        lines = await Desk(resources.publisher).take(connection, coordinator.scope.tenant, reads, resources.clock.now())
    resources.nudge()
    return lines


async def readable(connection: AsyncConnection, coordinator: Caller, registry_id: str) -> StoredTrial:
    """``Problem`` 404 for a trial that isn't there, or concerns none of the caller's programs."""
    stored = await find_trial(connection, coordinator.scope.tenant, registry_id)
    if stored is None or not may_read(coordinator.scope, stored.draft.programs):
        raise Problem(404, "no_such_trial", "There is no such trial in your programs.")
    return stored


async def _changeable(connection: AsyncConnection, coordinator: Caller, registry_id: str) -> StoredTrial:
    """Locked. ``Problem`` 403 when the trial is also for programs that the key isn't for."""
    stored = await readable(connection, coordinator, registry_id)
    await find_trial(connection, coordinator.scope.tenant, registry_id, lock=True)
    _in_scope(coordinator, stored.draft.programs)
    return stored


def _in_scope(coordinator: Caller, programs: tuple[str, ...]) -> None:
    if not may_change(coordinator.scope, programs):
        raise Problem(403, "other_programs", "The trial is for programs that this key isn't for.")


async def save(
    resources: Resources, coordinator: Caller, registry_id: str, posted: DraftPosted, seen: str | None = None
) -> StoredTrial:
    """Keep a draft; with a title it may be a trial that no registry has, closed unless its status is said.

    ``seen``: the tag of the draft it was made from. ``Problem`` 412 when somebody changed that meanwhile.
    """
    tenant = coordinator.scope.tenant
    _known_programs(resources, coordinator, posted)
    desk, now = Desk(resources.publisher), resources.clock.now()
    async with resources.store.write() as connection:
        stored = await find_trial(connection, tenant, registry_id, lock=True)
        if seen is not None and (stored is None or views.draft_tag(stored) != seen):
            raise Problem(412, "changed_meanwhile", "Somebody changed the draft meanwhile; nothing was saved.")
        if (own := _own_record(registry_id, posted, stored)) is not None:
            _in_scope(coordinator, stored.draft.programs if stored else posted.programs or ())
            await desk.take(connection, tenant, [own], now)
        stored = await _changeable(connection, coordinator, registry_id)
        kept = {name: value for name, value in (("programs", posted.programs), ("approvals", posted.approvals))
                if value is not None}  # fmt: skip
        draft = stored.draft.model_copy(update={"eligibility": posted.eligibility, **kept})
        _in_scope(coordinator, draft.programs)
        await desk.save(connection, tenant, draft)
        return await _again(connection, tenant, registry_id)


def _known_programs(resources: Resources, coordinator: Caller, posted: DraftPosted) -> None:
    known = {
        code
        for code, each in resources.offers.items()
        if each.program.tenant == coordinator.scope.tenant and each.program.offers_trials
    }
    wrong = [
        FieldError(f"#/programs/{at}", "is no program of yours that offers trials")
        for at, code in enumerate(posted.programs or ()) if code not in known or not coordinator.scope.allows(code)
    ]  # fmt: skip
    if wrong:
        raise Problem(422, "invalid", "The draft was not taken.", errors=wrong)


def _own_record(registry_id: str, posted: DraftPosted, stored: StoredTrial | None) -> RegistryTrial | None:
    """What stands in for a registry's record, where there is none. ``Problem`` 404 when no title is given for that."""
    ours = stored is None or (stored.record.last_update is None and stored.record.eligibility_text is None)
    if stored is None and posted.title is None:
        detail = "There is no such trial: import its record, or give a title (and a status) for one no registry has."
        raise Problem(404, "no_such_trial", detail)
    if not ours or posted.title is None:
        return None
    return RegistryTrial(
        registry_id=registry_id, brief_title=posted.title,
        overall_status=posted.status or RecruitmentStatus.UNKNOWN, criteria=posted.eligibility.criteria,
    )  # fmt: skip


async def _again(connection: AsyncConnection, tenant: str, registry_id: str) -> StoredTrial:
    stored = await find_trial(connection, tenant, registry_id)
    assert stored is not None  # noqa: S101 - locked by this transaction
    return stored


async def publish(resources: Resources, coordinator: Caller, registry_id: str) -> StoredTrial:
    """``Problem`` 409 when lint finds an error, or there is nothing new."""
    tenant = coordinator.scope.tenant
    async with resources.store.write() as connection:
        stored = await _changeable(connection, coordinator, registry_id)
        if errors := [each for each in check(stored.draft, tenant, resources.offers) if each.error]:
            raise Problem(409, "lint_errors", f"{registry_id}: nothing was published.", errors=_errors(errors))
        with_desk = Desk(resources.publisher)
        try:
            await with_desk.publish(connection, tenant, registry_id, coordinator.key_id, resources.clock.now())
        except NotYetError as error:
            raise Problem(409, "not_yet", str(error)) from None
        published = await _again(connection, tenant, registry_id)
    resources.nudge()
    return published


def _errors(found: list[Finding]) -> list[FieldError]:
    return [FieldError(each.field, f"{each.trial}: criterion {each.criterion}: {each.reason}") for each in found]


async def release(resources: Resources, coordinator: Caller, registry_id: str) -> StoredTrial:
    """Let the first invitations go. ``Problem`` 409 unless somebody else published the trial."""
    tenant = coordinator.scope.tenant
    async with resources.store.write() as connection:
        await _changeable(connection, coordinator, registry_id)
        try:
            await Desk(resources.publisher).release(
                connection, tenant, registry_id, coordinator.key_id, resources.clock.now()
            )
        except NotYetError as error:
            raise Problem(409, "not_yet", str(error)) from None
        released = await _again(connection, tenant, registry_id)
    resources.nudge()
    return released
