"""``upright api-key new``."""

from enum import StrEnum
from typing import Annotated

import typer

from standalone.commands.errors import WRONG, Failure

app = typer.Typer(no_args_is_help=True, help="API keys of callers.")


class Role(StrEnum):
    """What a key may do: post events, read what staff read, run the installation, run trials."""

    PUBLISH = "publish"
    STAFF = "staff"
    OPERATOR = "operator"
    COORDINATOR = "coordinator"


@app.callback()
def _group() -> None:
    """API keys of callers."""


@app.command()
def new(
    tenant: Annotated[str, typer.Option(help="The hospital organisation's code.")],
    role: Annotated[list[Role], typer.Option(help="May be given several times.")],
    program: Annotated[list[str] | None, typer.Option(help="A program's public code; without it, all of them.")] = None,
    name: Annotated[str | None, typer.Option(help="The key's id in logs. Default: made up.")] = None,
) -> None:
    """Make a key. The secret is shown once; the service keeps only a hash of it."""
    import secrets

    from pydantic import ValidationError

    from chassis.api_keys import new_api_key
    from standalone.commands import screen

    try:
        text, setting = new_api_key(name or f"{tenant}-{secrets.token_hex(4)}", tenant, program, role)
    except ValidationError as error:
        (first, *_) = error.errors(include_url=False, include_input=False, include_context=False)
        raise Failure(f"{first['loc'][0]}: {first['msg']}", WRONG) from None
    screen.note("The key, for its holder alone; it can't be shown again:")
    screen.say(text)
    screen.note("Its setting, for the JSON list in INTAKE_, NOTIFIER_ or TRIALS_HTTP__API_KEYS:")
    screen.say(setting.model_dump_json(exclude_none=True))
