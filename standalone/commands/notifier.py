"""``upright notifier serve|migrate|arm|reconcile``."""

from typing import TYPE_CHECKING, Annotated

import typer

from standalone.commands.errors import NO, WRONG, Failure
from standalone.commands.processes import run_process

if TYPE_CHECKING:
    from datetime import datetime

    from services.notifier.reconcile import Report

app = typer.Typer(no_args_is_help=True, help="The service notifier; its settings are NOTIFIER_... in the environment.")


@app.command()
def serve() -> None:
    """Run it until SIGTERM or Ctrl-C."""
    run_process("notifier", "serve")


@app.command()
def migrate() -> None:
    """Bring its store up to this version."""
    run_process("notifier", "migrate")


@app.command()
def arm(
    tenant: Annotated[str, typer.Option(help="The hospital organisation's code.")],
    at: Annotated[str, typer.Option(help="Date and time with an offset: 2027-03-01T00:00-08:00", metavar="TIME")],
) -> None:
    """Make this installation responsible for a tenant's mail from a time on. Steps due before it are skipped.

    Until a tenant is armed, none of its mail goes out.
    """
    from datetime import datetime

    from standalone.commands import screen
    from standalone.commands.environment import run

    try:
        moment = datetime.fromisoformat(at)
    except ValueError:
        raise Failure(f"--at: {at} isn't a time such as 2027-03-01T00:00-08:00", WRONG) from None
    if moment.tzinfo is None:
        raise Failure("--at needs an offset from UTC, such as -08:00 or Z.", WRONG)
    screen.say(f"Armed. {run(_arm(tenant, moment))} patients are planned again.", "green")


async def _arm(tenant: str, at: "datetime") -> int:
    from datetime import UTC

    from services.notifier.arm import arm as make_responsible
    from standalone.commands.environment import notifier

    async with notifier() as service:
        known = {each.tenant for each in service.planner.programs.values()}
        if tenant not in known:
            raise Failure(f"No program is {tenant}'s. Tenants: {', '.join(sorted(known))}", WRONG)
        async with service.store.write() as connection:
            return await make_responsible(connection, tenant, at.astimezone(UTC))


@app.command()
def reconcile(
    tenant: Annotated[str | None, typer.Option(help="One tenant. Default: all.")] = None,
) -> None:
    """Does the ledger add up? One line per program, what can't be, and the sum. Exit status 1 if it doesn't."""
    from standalone.commands import screen
    from standalone.commands.environment import run

    report = run(_reconcile(tenant))
    for each in report.equations:
        screen.say(f"{each.tenant}/{each.program}: {each}")
    for finding in report.findings:
        screen.say(f"{finding.code}: {finding.detail}: {', '.join(finding.ids)}", "red")
    for delivery_id in report.uncertain:
        screen.note(f"uncertain: {delivery_id} (upright why {delivery_id})", "yellow")
    if not report.balanced:
        raise Failure(str(report.total), NO)
    screen.say(str(report.total), "green")


async def _reconcile(tenant: str | None) -> "Report":
    from services.notifier.reconcile import reconcile as add_up
    from standalone.commands.environment import notifier

    async with notifier() as service, service.store.read() as connection:
        return await add_up(connection, service.planner.clock.now(), tenant)
