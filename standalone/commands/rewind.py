"""``upright topics rewind``: have a service read a topic again."""

from typing import Annotated

import typer

from standalone.commands.errors import NO, WRONG, Failure


def rewind(
    group: Annotated[str, typer.Argument(metavar="GROUP", help="The consumer group: notifier.intake")],
    to: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Date and time with an offset: 2027-03-01T00:00-08:00. Default: all of it."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
    kafka: Annotated[
        str | None, typer.Option("--kafka", metavar="HOST:PORT", help="Default: ..._KAFKA__BOOTSTRAP.")
    ] = None,
) -> None:
    """Have a service read its topic again; it must not run meanwhile. What it knows already changes nothing.

    Until it has caught up, nothing it knows counts as fresh, and no mail goes out.
    """
    from datetime import datetime

    from schemas.topics import TOPICS
    from standalone.commands import screen
    from standalone.commands.environment import kafka_settings, run
    from standalone.rewinding import rewind as set_back

    found = {each: topic for topic in TOPICS.values() for each in topic.groups}
    if group not in found:
        raise Failure(f"There is no consumer group {group}. There are: {', '.join(found)}", WRONG)
    try:
        moment = datetime.fromisoformat(to) if to is not None else None
    except ValueError:
        raise Failure(f"--to: {to} isn't a time such as 2027-03-01T00:00-08:00", WRONG) from None
    if moment is not None and moment.tzinfo is None:
        raise Failure("--to needs an offset from UTC, such as -08:00 or Z.", WRONG)
    if not yes and not typer.confirm(f"Have {group} read {found[group].name} again?"):
        raise Failure("Nothing was changed.", NO)
    records = run(set_back(kafka_settings(kafka), found[group], group, moment))
    screen.say(f"{group} was set back by {records} records.", "green")
