"""``upright tail TOPIC``."""

from typing import TYPE_CHECKING, Annotated

import typer

from standalone.commands.topics import Kafka

if TYPE_CHECKING:
    from standalone.tailing import Shown


def tail(
    topic: Annotated[str, typer.Argument(help="Such as intake.events.v1, or a dead-letter topic.")],
    kafka: Kafka = None,
    from_beginning: Annotated[bool, typer.Option("--from-beginning", help="Not only what comes from now on.")] = False,
    patient: Annotated[str | None, typer.Option(metavar="ID", help="Only events of this patient.")] = None,
    count: Annotated[int | None, typer.Option("-n", min=1, help="End after so many.")] = None,
    heartbeats: Annotated[bool, typer.Option("--heartbeats", help="Show them, too.")] = False,
) -> None:
    """Show a topic's events as they come, until Ctrl-C. What is sealed stays sealed."""
    from standalone.commands.environment import kafka_settings, run
    from standalone.tailing import Wanted, follow

    wanted = Wanted(topic, from_beginning, patient, count, heartbeats)
    try:
        run(follow(kafka_settings(kafka), wanted, _print))
    except KeyboardInterrupt:
        raise typer.Exit(0) from None


def _print(shown: "Shown") -> None:
    from rich.json import JSON
    from rich.text import Text

    from standalone.commands import screen

    console = screen.out()
    line = [(screen.clean(shown.what), "bold"), (f"  {shown.place}", "dim"), (f"  {shown.at}", "dim")]
    console.print(Text.assemble(*line))
    for name, value in shown.headers:
        console.print(Text.assemble((f"  {screen.clean(name)}: ", "cyan"), screen.clean(value)))
    if shown.data is not None:
        console.print(JSON(shown.data, indent=2))
    console.print()
