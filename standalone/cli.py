"""``upright``: the table of its commands.

Exit status: 0 done, 1 the answer is no, 2 asked wrongly, 3 something that is needed is away, 130 Ctrl-C.
"""

import importlib
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from standalone.commands import (
    api_key,
    dead_letters,
    doctor,
    intake,
    notifier,
    pauses,
    programs,
    publish,
    rewind,
    tail,
    topics,
    trials,
    why,
)
from standalone.commands.errors import Failure, end
from standalone.running import use_running


class Upright(TyperGroup):
    """Says what was to be expected in words; anything else is a fault of the program and keeps its traceback."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except Failure as failure:
            end(failure)


app = typer.Typer(
    cls=Upright,
    name="upright",
    epilog="Exit status: 0 done, 1 the answer is no, 2 asked wrongly, 3 something needed is away, 130 Ctrl-C.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

PASSED_ON = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
"""The command's own module parses, so that nothing of it is imported before it is asked for."""

HERE, EVENTS, OPERATE = "On this machine", "Events and mail", "Operate"


@app.callback()
def options(
    data: Annotated[
        Path | None,
        typer.Option(envvar="UPRIGHT_DATA", help="Speak to what upright up, or the demo, runs from this folder."),
    ] = None,
    tenant: Annotated[str | None, typer.Option(help="With --data: as whose staff. Default: the first.")] = None,
) -> None:
    """Event-driven patient messaging for specialty care programs."""
    if data is not None:
        use_running(data, tenant)


def _run(module: str, name: str, context: typer.Context) -> None:
    command = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    command.command()(getattr(importlib.import_module(module), name))
    command(context.args, prog_name=context.command_path)


@app.command(context_settings=PASSED_ON, rich_help_panel=HERE)
def demo(context: typer.Context) -> None:
    """Play a story of three weeks: only its clock and its patients are made up."""
    _run("standalone.demo.command", "demo", context)


@app.command(context_settings=PASSED_ON, rich_help_panel=HERE)
def up(context: typer.Context) -> None:
    """Run the whole system: broker, intake, notifier and a mailbox."""
    _run("standalone.up", "up", context)


app.command(rich_help_panel=EVENTS)(publish.publish)
app.command(rich_help_panel=EVENTS)(tail.tail)
app.command(rich_help_panel=EVENTS)(why.why)
app.command(rich_help_panel=EVENTS)(why.plan)
app.command(rich_help_panel=OPERATE)(doctor.doctor)
app.command(rich_help_panel=OPERATE)(pauses.pause)
app.command(rich_help_panel=OPERATE)(pauses.resume)
app.command(rich_help_panel=OPERATE)(pauses.pauses)
app.add_typer(programs.app, name="programs", rich_help_panel=OPERATE)
topics.app.command("rewind")(rewind.rewind)
app.add_typer(topics.app, name="topics", rich_help_panel=OPERATE)
app.add_typer(dead_letters.app, name="dead-letters", rich_help_panel=OPERATE)
app.add_typer(intake.app, name="intake", rich_help_panel=OPERATE)
app.add_typer(notifier.app, name="notifier", rich_help_panel=OPERATE)
app.add_typer(trials.app, name="trials", rich_help_panel=OPERATE)
app.add_typer(api_key.app, name="api-key", rich_help_panel=OPERATE)
