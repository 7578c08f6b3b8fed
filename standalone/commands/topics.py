"""``upright topics apply|check``."""

from typing import TYPE_CHECKING, Annotated

import typer

from standalone.commands.errors import NO, Failure

if TYPE_CHECKING:
    from chassis.acls import AclReport
    from chassis.settings import KafkaSettings
    from chassis.topics import Report

app = typer.Typer(no_args_is_help=True, help="The Kafka topics: create what is missing, show what differs.")

Kafka = Annotated[str | None, typer.Option("--kafka", metavar="HOST:PORT", help="Default: ..._KAFKA__BOOTSTRAP.")]


@app.command()
def apply(kafka: Kafka = None) -> None:
    """Create missing topics. Alters none; a wrong number of partitions is refused (exit status 1).

    Where Kafka is reached by name and password, each service is also granted what it needs, and no more.
    """
    from chassis.topics import apply as apply_topics
    from schemas.topics import ALL_TOPICS
    from standalone.commands.environment import kafka_settings, run

    settings = kafka_settings(kafka)
    report = run(apply_topics(settings, ALL_TOPICS.values()))
    if settings.username is not None and report.usable:
        _say_rights(run(_grant(settings)))
    _say(report)


@app.command()
def check(kafka: Kafka = None) -> None:
    """Only look. Exit status 1 when a topic is missing or can't be used."""
    from chassis.topics import check as check_topics
    from schemas.topics import ALL_TOPICS
    from standalone.commands.environment import kafka_settings, run

    _say(run(check_topics(kafka_settings(kafka), ALL_TOPICS.values())))


async def _grant(settings: "KafkaSettings") -> "AclReport":
    from chassis.acls import acls_of, apply, maker_of
    from schemas.topics import ALL_TOPICS, SUBSCRIPTION, subscription_topic

    prefix = subscription_topic("/").name.partition("/")[0]
    return await apply(settings, acls_of(ALL_TOPICS.values()) | maker_of(SUBSCRIPTION.owner, prefix))


def _say_rights(report: "AclReport") -> None:
    from standalone.commands import screen

    rows = [("granted", str(each)) for each in report.created]
    rows += [("beyond", f"{each}; nothing here needs it") for each in report.beyond]
    if rows:
        screen.table(("", "right"), rows)


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
