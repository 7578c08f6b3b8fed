"""``upright``: the table of its commands.

Exit status: 0 done, 1 the answer is no, 2 asked wrongly, 3 something that is needed is away, 130 Ctrl-C.
"""

import importlib

import typer

app = typer.Typer(
    name="upright",
    help="Event-driven patient messaging for specialty care programs.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

PASSED_ON = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
"""The command's own module parses, so that nothing of it is imported before it is asked for."""


def _run(module: str, name: str, context: typer.Context) -> None:
    command = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    command.command()(getattr(importlib.import_module(module), name))
    command(context.args, prog_name=context.command_path)


@app.command(context_settings=PASSED_ON)
def demo(context: typer.Context) -> None:
    """Play a story of three weeks on this machine: only its clock and its patients are made up."""
    _run("standalone.demo", "demo", context)


@app.command(context_settings=PASSED_ON)
def up(context: typer.Context) -> None:
    """Run the whole system on this machine: broker, intake, notifier and a mailbox."""
    _run("standalone.up", "up", context)
