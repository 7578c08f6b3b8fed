"""``upright programs check|apply``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from standalone.commands.errors import NO, Failure

if TYPE_CHECKING:
    from collections.abc import Mapping

    from schemas.program_files import LoadedProgram
    from services.notifier.mail_difference import MailChange, MailDifference

app = typer.Typer(no_args_is_help=True, help="The files of the care programs.")

Folder = Annotated[
    Path | None,
    typer.Argument(metavar="DIR", exists=True, file_okay=False, help="Default: the shipped programs."),
]
Demo = Annotated[bool, typer.Option("--demo", help="With the values made up for the demo.")]


@app.command()
def check(folder: Folder = None, demo: Demo = False) -> None:
    """Read the files and name every problem with file, line and reason. Exit status 1 if there is one."""
    from standalone.commands import screen

    for code, each in read_programs(folder, demo=demo).items():
        missing = ", ".join(each.program.missing)
        screen.say(f"{each.folder} ({code}): {'complete' if not missing else 'sends nothing until it has ' + missing}")
        if each.program.offers_trials and each.program.trials_sender is None:
            screen.say(f"{each.folder} ({code}): sends no mail about trials until it has trials_sender")


def read_programs(folder: Path | None, *, demo: bool) -> "Mapping[str, LoadedProgram]":
    """By public code. ``Failure`` with every problem of every program."""
    from importlib.resources import files

    from schemas.program_checks import check_programs
    from schemas.program_files import load_programs, program_folders

    root = folder or files("programs")
    if not program_folders(root):
        raise Failure(f"There is no program in {folder}: a program is a folder with program.yaml.", NO)
    if problems := check_programs(root, demo=demo):
        raise Failure("\n".join(map(str, problems)), NO)
    return load_programs(root, demo=demo)


@app.command()
def apply(
    folder: Folder = None,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
) -> None:
    """Plan with these files from now on: shows what changes in mails, then asks.

    Works on the notifier's store (NOTIFIER_... in the environment). Its instances take the programs over by themselves.
    """
    from standalone.commands import screen
    from standalone.commands.environment import run
    from standalone.program_changes import apply_programs, look, takes_demo_values

    new = {code: each.program for code, each in read_programs(folder, demo=takes_demo_values()).items()}
    print_difference(run(look(new)))
    if not yes and not typer.confirm("Apply?"):
        raise Failure("Nothing was applied.", NO)
    screen.say(f"Applied. {run(apply_programs(new))} patients are planned again, in waves.", "green")


def print_difference(difference: "MailDifference") -> None:
    """Counts, then examples by patient id, in UTC."""
    from standalone.commands import screen

    if not difference.patients_changed:
        screen.say(f"No mail changes, of {difference.patients} patients.")
        return
    screen.say(f"Mails change for {difference.patients_changed} of {difference.patients} patients:", "bold")
    rows = sorted(difference.counts.items())
    screen.table(("", "mail", "how many"), ((what, kind, count) for (what, kind), count in rows))
    names = ("", "mail", "program", "step", "due until now", "due then", "patient")
    screen.table(names, (_row(each) for each in difference.examples))
    left = sum(difference.counts.values()) - len(difference.examples)
    if left > 0:
        screen.note(f"and {left} more")


def _row(change: "MailChange") -> tuple[str, ...]:
    before = f"{change.due_before:%Y-%m-%d %H:%M}Z" if change.due_before else ""
    then = f"{change.due_at:%Y-%m-%d %H:%M}Z" if change.due_at else change.reason or ""
    return change.what, change.kind, change.program, change.step or "", before, then, change.patient_id
