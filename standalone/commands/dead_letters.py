"""``upright dead-letters list|show|redrive|dismiss``."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from standalone.commands.errors import NO, WRONG, Failure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Row

    from chassis.letter_acts import Act
    from chassis.redrive import StoredLetter
    from standalone.letters import Desk, Owner

app = typer.Typer(
    no_args_is_help=True, help="Records that couldn't be handled: look, have them handled again, or let them go."
)

ALL = "all"
MANY = 10_000
"""Letters that are looked at in one go."""


class Which(StrEnum):
    """States of a letter."""

    OPEN = "open"
    REDRIVEN = "redriven"
    SUPERSEDED = "superseded"
    DISMISSED = "dismissed"
    ALL = "all"


Letter = Annotated[str, typer.Argument(metavar="GROUP/ID", help="As list shows it: notifier.intake/17")]


@app.command("list")
def list_(
    group: Annotated[str | None, typer.Option(help="One consumer group. Default: all that have settings here.")] = None,
    state: Annotated[Which, typer.Option(help="Which letters.")] = Which.OPEN,
    limit: Annotated[int, typer.Option(min=1, max=MANY, help="The newest so many of each group.")] = 100,
) -> None:
    """List letters, without what is in them."""
    from standalone.commands import screen
    from standalone.commands.environment import is_set, run
    from standalone.letters import GROUPS, owner_of

    if group:
        owner_of(group)
    groups = [group] if group else [name for name, owner in GROUPS.items() if is_set(owner.prefix)]
    if not groups:
        raise Failure("There are no settings of a service (INTAKE_... or NOTIFIER_...) in the environment.", WRONG)
    letters = [each for name in groups for each in run(_list(name, state, limit))]
    if not letters:
        screen.note(f"No letters ({state}) in {', '.join(groups)}.", "green")
        return
    names = ("letter", "state", "reason", "event", "tenant", "patient", "buried", "at")
    screen.table(names, (_row(each) for each in letters))


async def _list(group: str, state: Which, limit: int) -> "Sequence[StoredLetter]":
    from chassis.dead_letters import LetterState
    from chassis.redrive import list_letters
    from standalone.letters import owner_of

    wanted = None if state is Which.ALL else LetterState(state.value)
    async with owner_of(group).desk() as desk, desk.store.read() as connection:
        return await list_letters(connection, desk.table, None, state=wanted, group=group, limit=limit)


def _row(stored: "StoredLetter") -> tuple[str, ...]:
    letter = stored.letter
    named = [each or "?" for each in (letter.event, letter.tenant, letter.key)]
    place = f"{letter.record.partition}/{letter.record.offset}"
    at = f"{stored.buried_at:%Y-%m-%d %H:%M:%S}Z"
    return f"{stored.group}/{stored.id}", stored.state, letter.reason, *named, at, place


@app.command()
def show(
    letter: Letter,
    payload: Annotated[
        bool, typer.Option("--payload", help="Also the record's bytes; needs an operator's API key, and is kept.")
    ] = False,
) -> None:
    """Show one letter: where it came from, why it is here, its headers, and who has handled it."""
    from standalone.commands import screen
    from standalone.commands.environment import run
    from standalone.tailing import in_text

    stored, acts = run(_show(*_parted(letter), payload))
    record = stored.letter.record
    rows = list(zip(("letter", "state", "reason", "event", "tenant", "patient", "buried"), _row(stored), strict=False))
    rows += [("topic", record.topic), ("place", f"partition {record.partition}, offset {record.offset}")]
    rows += [("error", stored.letter.error), ("note", stored.note or ""), ("size", f"{len(record.value or b'')} bytes")]
    rows += [(f"header {name}", in_text(value)) for name, value in record.headers]
    rows += [(f"{each.act} by {each.by}", f"{each.at:%Y-%m-%d %H:%M:%S}Z") for each in acts]
    screen.table(("", ""), rows)
    if payload:
        screen.say((record.value or b"").decode(errors="replace"))


async def _show(group: str, number: int, payload: bool) -> "tuple[StoredLetter, Sequence[Row[Any]]]":
    from chassis.letter_acts import Act, list_acts, record_act
    from chassis.redrive import show_letter
    from standalone.letters import owner_of
    from standalone.operators import may_read

    owner = owner_of(group)
    async with owner.desk() as desk, desk.store.write() as connection:
        stored = await show_letter(connection, desk.table, None, number)
        if payload:
            by = may_read(owner.prefix, stored.letter.tenant)
            await record_act(connection, desk.acts, number, Act.READ, by)
        return stored, await list_acts(connection, desk.acts, number)


async def _note(owner: "Owner", desk: "Desk", number: int, act: "Act") -> None:
    from chassis.letter_acts import record_act
    from chassis.redrive import show_letter
    from standalone.operators import name_of_operator

    async with desk.store.write() as connection:
        await show_letter(connection, desk.table, None, number)  # a letter that isn't there has no acts
        await record_act(connection, desk.acts, number, act, name_of_operator(owner.prefix))


@app.command()
def redrive(
    letters: Annotated[list[str], typer.Argument(metavar="GROUP/ID...", help="GROUP/all: every open one.")],
) -> None:
    """Have the owning service's handler handle letters again, here and now; the topic isn't written to.

    A letter that fails again stays open (exit status 1). One that a newer version has overtaken is superseded.
    """
    from standalone.commands import screen
    from standalone.commands.environment import run

    failed = 0
    for each in letters:
        group, _, number = each.rpartition("/")
        for letter_id in run(_open_ids(group)) if number == ALL else [_parted(each)[1]]:
            try:
                screen.say(f"{group}/{letter_id}: {run(_redrive(group, letter_id))}", "green")
            except Failure as failure:
                if failure.status != NO:
                    raise
                screen.say(f"{group}/{letter_id}: {failure}", "red")
                failed += 1
    if failed:
        raise Failure(f"{failed} not handled.", NO)


async def _open_ids(group: str) -> list[int]:
    return [each.id for each in reversed(await _list(group, Which.OPEN, MANY))]


async def _redrive(group: str, number: int) -> str:
    from chassis.letter_acts import Act
    from chassis.redrive import redrive as handle_again
    from standalone.letters import owner_of

    owner = owner_of(group)
    async with owner.desk() as desk:
        await _note(owner, desk, number, Act.REDRIVE)
        return await handle_again(
            desk.store, desk.table, None, number, uses=desk.uses, apply=desk.apply, released=desk.released
        )


@app.command()
def dismiss(
    letter: Letter,
    note: Annotated[str, typer.Option(help="Why, without protected data; it is kept.", prompt="Why")],
) -> None:
    """Close a letter without handling it: what it said is lost, and the patient's mail is released."""
    from standalone.commands import screen
    from standalone.commands.environment import run

    if not note.strip():
        raise Failure("Say why: --note TEXT", WRONG)
    run(_dismiss(*_parted(letter), note.strip()))
    screen.say(f"{letter}: dismissed", "green")


async def _dismiss(group: str, number: int, note: str) -> None:
    from chassis.letter_acts import Act
    from chassis.redrive import dismiss as let_go
    from standalone.letters import owner_of

    owner = owner_of(group)
    async with owner.desk() as desk:
        await _note(owner, desk, number, Act.DISMISS)
        await let_go(desk.store, desk.table, None, number, note, released=desk.released)


def _parted(letter: str) -> tuple[str, int]:
    group, _, number = letter.rpartition("/")
    if not group or not number.isdecimal():
        raise Failure(f"{letter} isn't a letter's name such as notifier.intake/17", WRONG)
    return group, int(number)
