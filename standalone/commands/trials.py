"""``upright trials …``: the catalogue of trials, from the registry's records to released invitations."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from standalone.commands import trials_subscriptions
from standalone.commands.errors import NO, WRONG, Failure
from standalone.commands.http import KeyFile, content, get, open_client
from standalone.commands.processes import run_process
from standalone.commands.trials_judging import evaluate, explain

if TYPE_CHECKING:
    from standalone.importing.reading import Broken, Record
    from standalone.importing.sending import Desk, Line

app = typer.Typer(no_args_is_help=True, help="Clinical trials: import, publish, release, explain, evaluate.")

Url = Annotated[str | None, typer.Option(envvar="UPRIGHT_TRIALS_URL", help="Where trials are.", show_default=False)]
Trial = Annotated[str, typer.Argument(metavar="TRIAL", help="Its number in the registry, such as NCT07085260.")]


@app.command()
def serve() -> None:
    """Run the service until SIGTERM or Ctrl-C; its settings are TRIALS_... in the environment."""
    run_process("trials", "serve")


@app.command()
def migrate() -> None:
    """Bring its store up to this version."""
    run_process("trials", "migrate")


@app.command("import")
def import_(
    source: Annotated[str | None, typer.Argument(metavar="FILE|FOLDER|-", show_default=False)] = None,
    api: Annotated[
        str | None,
        typer.Option(metavar="BASE_URL", help="Ask a registry instead, as https://clinicaltrials.gov/api/v2"),
    ] = None,
    query: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="With --api: query.cond=headache, and more.")
    ] = None,
    pace: Annotated[float, typer.Option(min=0.0, help="With --api: seconds between two requests.")] = 1.0,
    resume: Annotated[
        Path, typer.Option(help="With --api: keeps where it stopped; the same command goes on there.")
    ] = Path("upright-trials-import.json"),
    url: Url = None,
    key_file: KeyFile = None,
) -> None:
    """Import records of ClinicalTrials.gov (API v2), and criteria files beside them.

    Records are JSON: one, a list, a page, or one a line. Of a folder, all .json, .jsonl and .ndjson files are records
    and all .yaml files are criteria, in the form of docs/trials.md: they become the drafts of their trials. Nothing is
    published by it, but a published trial follows its record's status and sites. Running it again changes nothing.

    One line per record: new, changed, same, closed or refused, with reasons. Exit status 1 when one was refused.
    """
    from standalone.importing.sending import Desk

    if bool(source) == bool(api):
        raise Failure("Say what to import: upright trials import FILE|FOLDER|-, or --api BASE_URL", WRONG)
    began, tally = time.monotonic(), dict[str, int]()
    with open_client(url, key_file, "trials") as client, _progress() as progress:
        lines = _from_api(Desk(client), api, query or [], pace, resume) if api else _from_files(Desk(client), source)
        for line in _shown(lines, progress):
            tally[line.outcome] = tally.get(line.outcome, 0) + 1
    _close(tally, time.monotonic() - began)


def _from_api(desk: "Desk", api: str, query: list[str], pace: float, resume: Path) -> "Iterator[tuple[Line, int]]":
    """Lines, each with how many there will be as far as is known."""
    from services.trials.registry.api import Pace
    from standalone.importing.registry import Registry

    if wrong := [each for each in query if "=" not in each]:
        raise Failure(f"--query {wrong[0]}: has no =", WRONG)
    asked = dict(each.split("=", 1) for each in query)
    total = 0
    for page in Registry(api, asked, resume, Pace(between=pace, first_wait=max(pace, 0.01))).pages():
        total += len(page)
        yield from ((line, total) for line in desk.send(page))


def _from_files(desk: "Desk", source: str | None) -> "Iterator[tuple[Line, int]]":
    from standalone.importing.reading import find_files, read_file, read_stdin

    files, criteria = ([], []) if source in (None, "-") else find_files(str(source))
    if source != "-" and not files and not criteria:
        raise Failure(f"{source} holds no .json, .jsonl, .ndjson or .yaml file.", WRONG)
    found = list(read_stdin()) if source == "-" else [each for file in files for each in read_file(file)]
    total = len(found) + len(criteria)
    yield from ((line, total) for line in _send(desk, found))
    for file in criteria:
        yield desk.send_criteria(file), total


def _send(desk: "Desk", found: "Iterable[Record | Broken]") -> "Iterator[Line]":
    """Good ones in batches; broken ones are reported where they stand, in front of the batch."""
    from standalone.importing.reading import Broken
    from standalone.importing.sending import Line

    broken = [each for each in found if isinstance(each, Broken)]
    yield from (Line(each.place, "refused", (each.reason,)) for each in broken)
    yield from desk.send(each for each in found if not isinstance(each, Broken))


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None]]:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    from standalone.commands import screen

    console = screen.err()
    with Progress(
        "importing", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=console, transient=True,
        disable=not console.is_terminal,
    ) as bar:  # fmt: skip
        task = bar.add_task("importing", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _shown(lines: "Iterator[tuple[Line, int]]", progress: Callable[[int, int], None]) -> "Iterator[Line]":
    """Each line said as it comes."""
    from standalone.commands import screen

    colours = {"refused": "red", "same": "dim", "closed": "dim"}
    for number, (line, total) in enumerate(lines, 1):
        progress(number, total)
        screen.row((line.outcome, line.name, "; ".join(line.notes)), colours.get(line.outcome, ""))
        yield line


def _close(tally: dict[str, int], seconds: float) -> None:
    from standalone.commands import screen

    said = ", ".join(f"{tally.get(name, 0)} {name}" for name in ("new", "changed", "same", "closed", "refused"))
    if tally.get("refused"):
        raise Failure(said, NO)
    screen.note(f"{said} ({seconds:.1f} s)", "green")


@app.command("list")
def list_(url: Url = None, key_file: KeyFile = None) -> None:
    """All trials: status, criteria and how many of them nobody has translated, what is published and released."""
    from standalone.commands import screen

    rows, after = list[tuple[object, ...]](), None
    with open_client(url, key_file, "trials") as client:
        while True:
            page = get(client, "/v1/trials" + (f"?after={after}" if after else ""))
            rows += [_row(each) for each in page["trials"]]
            if (after := page["next"]) is None:
                break
    screen.table(("trial", "status", "criteria", "unparsed", "published", "released", "title"), rows)


def _row(each: dict[str, Any]) -> tuple[object, ...]:
    version = each["published_version"]
    published = f"{version}{' (draft changed)' if each['unpublished_changes'] else ''}" if version else "no"
    released = "yes" if each["released"] else "no"
    return (
        each["registry_id"], each["status"], each["criteria"], each["unparsed"], published, released, each["title"],
    )  # fmt: skip


@app.command()
def show(trial: Trial, url: Url = None, key_file: KeyFile = None) -> None:
    """One trial's draft in words, and what is wrong with it."""
    with open_client(url, key_file, "trials") as client:
        _print(get(client, f"/v1/trials/{trial}"))


def _print(found: dict[str, Any]) -> None:
    from standalone.commands import screen

    screen.say(f"{found['registry_id']}: {found['title']}", "bold")
    screen.say(f"{found['status']}, {'open' if found['open'] else 'closed'}", indent=2)
    draft = found["draft"]["eligibility"]
    for cohort in ({"id": None, "criteria": draft["criteria"]}, *draft["cohorts"]):
        if cohort["id"]:
            screen.say(f"cohort {cohort['name']}", "bold")
        for each in cohort["criteria"]:
            style = "yellow" if each["status"] == "unparsed" else ""
            screen.say(
                f"{each['id']} ({each['kind']}): {found['sentences'][_name(cohort['id'], each['id'])]}", style, indent=2
            )
    for each in found["problems"]:
        screen.note(f"criterion {each['criterion']}: {each['field']}: {each['reason']}", "red" if each["error"] else "")


def _name(cohort: str | None, criterion: str) -> str:
    return f"{cohort}.{criterion}" if cohort else criterion


@app.command()
def publish(trial: Trial, url: Url = None, key_file: KeyFile = None) -> None:
    """Make the draft what patients are matched against, unless lint finds an error."""
    from standalone.commands import screen

    with open_client(url, key_file, "trials") as client:
        found = _post(client, f"/v1/trials/{trial}/publish")
    said = (
        f"{trial}: version {found['published_version']}, criteria {found['criteria_version']}. Patients are compared."
    )
    screen.say(said, "green")


@app.command()
def release(trial: Trial, url: Url = None, key_file: KeyFile = None) -> None:
    """Let a trial's invitations go out. Whoever published it can't: a second person does, with another key."""
    from standalone.commands import screen

    with open_client(url, key_file, "trials") as client:
        _post(client, f"/v1/trials/{trial}/release")
    screen.say(f"{trial}: invitations go out as approvals and caps allow.", "green")


def _post(client: Any, path: str) -> Any:
    answer = client.post(path)
    if answer.status_code == 409:
        problem = answer.json()
        errors = [f"{each['pointer']}: {each['detail']}" for each in problem.get("errors", ())]
        raise Failure("\n".join([problem["detail"], *errors]), NO)
    return content(answer)


app.command()(explain)
app.command()(evaluate)
app.add_typer(trials_subscriptions.app)
