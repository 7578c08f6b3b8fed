"""``upright intake serve|migrate|republish``."""

from typing import Annotated

import typer

from standalone.commands.errors import NO, WRONG, Failure
from standalone.commands.processes import run_process

app = typer.Typer(no_args_is_help=True, help="The service intake; its settings are INTAKE_... in the environment.")


@app.command()
def serve() -> None:
    """Run it until SIGTERM or Ctrl-C."""
    run_process("intake", "serve")


@app.command()
def migrate() -> None:
    """Bring its store up to this version."""
    run_process("intake", "migrate")


@app.command()
def republish(
    patient: Annotated[str | None, typer.Option(metavar="ID", help="One patient. Default: all of them.")] = None,
    tenant: Annotated[str | None, typer.Option(help="The patient's tenant.")] = None,
) -> None:
    """Send the current state of patients again, for consumers that missed more than a topic keeps. Harmless."""
    from standalone.commands import screen
    from standalone.commands.environment import run

    if bool(patient) != bool(tenant):
        raise Failure("--patient and --tenant go together.", WRONG)
    count = run(_republish(patient, tenant))
    if patient and not count:
        raise Failure("There is no such patient.", NO)
    screen.say(f"{count} states are in the outbox; intake's relay publishes them.", "green")


async def _republish(patient: str | None, tenant: str | None) -> int:
    from services.intake.republish import Whom
    from services.intake.republish import republish as send_again
    from standalone.commands import screen
    from standalone.commands.environment import intake

    whom = Whom(tenant, patient.lower()) if patient and tenant else None
    async with intake() as service:
        with screen.err().status("Republishing") as status:
            return await send_again(
                service.resources, whom, progress=lambda count: status.update(f"Republishing: {count} states")
            )
