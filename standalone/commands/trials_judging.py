"""``upright trials explain`` and ``upright trials evaluate``: verdicts again, and verdicts of files."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from standalone.commands.errors import NO, Failure
from standalone.running import named_patient

if TYPE_CHECKING:
    from datetime import date

    from standalone.replaying import Replay

Day = Annotated[datetime, typer.Option("--as-of", formats=["%Y-%m-%d"], metavar="DATE", help="The day of judgement.")]


def explain(
    trial: Annotated[str, typer.Option(metavar="TRIAL", help="Its number in the registry.")],
    patient: Annotated[str, typer.Option(metavar="ID")],
    tenant: Annotated[str, typer.Option(help="The patient's hospital organisation.")],
    as_of: Annotated[
        datetime | None, typer.Option("--as-of", formats=["%Y-%m-%d"], metavar="DATE", help="Default: today.")
    ] = None,
    facts: Annotated[int | None, typer.Option("--facts-version", help="As a match's stamp says.")] = None,
    criteria: Annotated[str | None, typer.Option("--criteria-version", help="As a match's stamp says.")] = None,
) -> None:
    """Judge one patient and trial again as on a day, from the store, and say why. For operators: needs TRIALS_...

    What was known and published by the end of that day counts; with versions, what a match was stamped with.
    """
    from standalone.commands.environment import run, trials
    from standalone.replaying import Asked, replay

    day = as_of.date() if as_of else None
    asked = Asked(tenant, named_patient(patient), trial, day, facts, criteria)

    async def ask() -> "list[Replay]":
        async with trials() as service:
            return await replay(service, asked)

    for each in run(ask()):
        _print(each)


def _print(replay: "Replay") -> None:
    from standalone.commands import screen

    found = replay.verdict
    said = f"{found.verdict} on {replay.as_of} in program {replay.program}, criteria {replay.criteria_version}"
    screen.say(said, "bold")
    for note in replay.closed:
        screen.say(f"gate closed: {note}", "yellow", indent=2)
    for each in replay.criteria:
        cohort = f" [{each['cohort']}]" if each["cohort"] else ""
        screen.say(f"{each['mark']} {each['id']}{cohort}: {each['sentence']}", indent=2)
        for fact in each["facts"]:
            sources = ", ".join(f"{one['source']} {one['observed_on'] or ''}".strip() for one in fact["sources"])
            screen.say(f"{fact['label']}: {fact['value']}{f' ({sources})' if sources else ''}", "dim", indent=6)
        if each["falsified_by"]:
            screen.say(f"fails by {', '.join(each['falsified_by'])}", "dim", indent=6)
        if each["decided_by"]:
            screen.say(f"would be decided by {', '.join(each['decided_by'])}", "dim", indent=6)
    if (stored := replay.stored) is not None:
        stamp = stored.pair.stamp
        said = f"withdrawn ({stored.withdrawn})" if stored.withdrawn else str(stored.pair.verdict)
        version = "{}.{}".format(*stamp.criteria)
        screen.note(f"stored: {said}, judged as of {stamp.as_of}, facts version {stamp.facts}, criteria {version}")
    if replay.note:
        screen.note(replay.note, "yellow")


def evaluate(
    trials: Annotated[Path, typer.Option(exists=True, metavar="FILE|FOLDER", help="Criteria: YAML, or JSON.")],
    patients: Annotated[Path, typer.Option(exists=True, dir_okay=False, metavar="FILE", help="JSON, by id.")],
    as_of: Day,
    program: Annotated[
        Path | None,
        typer.Option(
            exists=True, file_okay=False, metavar="DIR",
            help="The folder with the vocabulary, facts.yaml. Default: the shipped cedars-sinai-csf.",
        ),
    ] = None,
) -> None:  # fmt: skip
    """Judge patients of a file against trials of files: one JSON object a line for each pair. Nothing else is needed.

    Trials are in the form of programs/trials/*.yaml; a folder holds any number, a JSON file one or a list. Patients
    are {"id": {"birth_date": "1986-05-02", "sex": "female", "facts": {"leak-type": "type-3", "opening-pressure":
    {"value": 4, "unit": "cm[H2O]", "observed_on": "2027-01-04"}, "blood-patch": [{"on": "2026-11-02"}]}}}. All of it
    is in docs/trials.md.

    What can't be taken (a fact nobody knows, a wrong unit, a future date) is said on standard error and is unknown;
    the exit status is then 1.
    """
    from standalone.commands import screen

    wrong = _evaluate(trials, patients, as_of.date(), program)
    for each in wrong:
        screen.note(each, "red")
    if wrong:
        raise Failure(f"{len(wrong)} problems: what they are about counts as unknown.", NO)


def _evaluate(trials: Path, patients: Path, as_of: "date", program: Path | None) -> list[str]:
    """Prints the pairs; what is wrong with the files."""
    import json
    from importlib.resources import files

    from schemas.vocabulary_files import load_vocabulary
    from schemas.yaml_files import ProgramFilesError
    from services.trials.criteria.lint import lint
    from standalone.evaluating import judge_all, read_patients, read_trials

    try:
        vocabulary = load_vocabulary(program or files("programs") / "cedars-sinai-csf")
    except ProgramFilesError as error:
        raise Failure("\n".join(map(str, error.problems)), NO) from None
    found, known = read_trials(trials), read_patients(patients, vocabulary, as_of)
    for pair in judge_all(found, known, vocabulary):
        typer.echo(json.dumps(pair, ensure_ascii=False))
    linted = [str(each) for trial in found for each in lint(trial.trial, trial.eligibility(), vocabulary) if each.error]
    return [*linted, *(f"patient {name}: {each}" for name, read in known.items() for each in read.problems)]
