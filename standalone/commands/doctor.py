"""``upright doctor``: is everything there that the services need, and if not, what to do."""

from standalone.commands.errors import NO, WRONG, Failure


def doctor() -> None:
    """Look at settings, keys, stores, migrations, clocks, broker, topics, rights, programs and the mail relay.

    For each service that has settings here (INTAKE_..., NOTIFIER_..., TRIALS_...). Changes nothing; exit status 1 when
    something is wrong.
    """
    from standalone.commands.environment import run

    if wrong := run(_examine()):
        raise Failure(f"{wrong} wrong.", NO)


async def _examine() -> int:
    from standalone.commands import screen
    from standalone.doctor import examine
    from standalone.findings import Verdict

    styles = {Verdict.OK: "green", Verdict.NOTE: "yellow", Verdict.WRONG: "red"}
    looked = wrong = 0
    async for each in examine():
        screen.row((each.verdict, each.service, each.what, each.said, each.todo), styles[each.verdict])
        looked, wrong = looked + 1, wrong + (each.verdict is Verdict.WRONG)
    if not looked:
        raise Failure("There are no settings of a service (INTAKE_..., NOTIFIER_...) in the environment.", WRONG)
    return wrong
