"""``python -m standalone.contracts write`` and ``check [--against COMMIT]``; exit status 1 when something is wrong."""

from pathlib import Path
from typing import Annotated

import typer

import schemas
from standalone.contracts.files import BreaksError, breaks, drift, stored, write
from standalone.contracts.history import base_commit, files_at

ROOT = Path(schemas.__file__).parent
app = typer.Typer(help="JSON Schemas, AsyncAPI document and golden examples of the contracts.", no_args_is_help=True)


@app.command("write")
def write_all() -> None:
    """Write what changed. A change that needs a new major version is refused and nothing is written."""
    try:
        written = write(ROOT)
    except BreaksError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    typer.echo("\n".join(written) or "contracts: nothing to write")


@app.command()
def check(
    against: Annotated[str | None, typer.Option(help="Compare with this commit instead of the main branch.")] = None,
) -> None:
    """Find drift, and what broke since the main branch (without a history: since what is checked in)."""
    there = stored(ROOT)
    base = base_commit(ROOT, against)
    if against and base is None:
        raise typer.BadParameter(f"no common history with {against}")
    problems = [*(breaks(files_at(ROOT, base), there) if base else ()), *drift(there)]
    for problem in problems:
        typer.echo(problem, err=True)
    typer.echo(f"contracts: {len(there)} files, compared with {base[:12] if base else 'the models alone'}")
    raise typer.Exit(1 if problems else 0)


if __name__ == "__main__":
    app()
