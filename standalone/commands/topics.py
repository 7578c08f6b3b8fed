"""``upright topics apply|check``."""

from typing import TYPE_CHECKING, Annotated

import typer

from standalone.commands.errors import NO, Failure

if TYPE_CHECKING:
    from chassis.topics import Report

app = typer.Typer(no_args_is_help=True, help="The Kafka topics: create what is missing, show what differs.")

Kafka = Annotated[str | None, typer.Option("--kafka", metavar="HOST:PORT", help="Default: ..._KAFKA__BOOTSTRAP.")]


@app.command()
def apply(kafka: Kafka = None) -> None:
    """Create missing topics. Alters none; a wrong number of partitions is refused (exit status 1)."""
    from chassis.topics import apply as apply_topics
    from schemas.topics import ALL_TOPICS
    from standalone.commands.environment import kafka_settings, run

    _say(run(apply_topics(kafka_settings(kafka), ALL_TOPICS.values())))


@app.command()
def check(kafka: Kafka = None) -> None:
    """Only look. Exit status 1 when a topic is missing or can't be used."""
    from chassis.topics import check as check_topics
    from schemas.topics import ALL_TOPICS
    from standalone.commands.environment import kafka_settings, run

    _say(run(check_topics(kafka_settings(kafka), ALL_TOPICS.values())))


def _say(report: "Report") -> None:
    from schemas.topics import ALL_TOPICS
    from standalone.commands import screen

    rows = [("created", name, "") for name in report.created]
    rows += [("missing", name, "upright topics apply creates it") for name in report.missing]
    for state, found in (("differs", report.differs), ("refused", report.refused)):
        rows += [(state, each.topic, f"{each.what} is {each.actual}, not {each.wanted}") for each in found]
    if rows:
        screen.table(("", "topic", ""), rows)
    if not report.usable:
        raise Failure("The topics can't be used as they are. A topic of other partitions must be made anew.", NO)
    screen.note(f"{len(ALL_TOPICS)} topics: usable", "green")
