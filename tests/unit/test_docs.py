"""What the documentation says exists: files behind links, targets of make, commands of ``upright``."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main

from standalone.cli import app

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
TARGETS = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.M))


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def code(page: Path) -> Iterator[str]:
    """Inline code, and the lines of code blocks."""
    text = page.read_text("utf-8")
    for block in re.findall(r"^```\w*\n(.*?)^```", text, re.M | re.S):
        yield from block.splitlines()
    yield from re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_to_files(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)", page.read_text("utf-8"))
    local = [link for link in links if not re.match(r"[a-z]+:", link)]
    assert [link for link in local if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_make_targets_exist(page: Path) -> None:
    used = {match[1] for line in code(page) if (match := re.match(r"make ([a-z-]+)", line))}
    assert used - TARGETS == set()


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_commands_exist(page: Path) -> None:
    lines = [match[1].split() for line in code(page) if (match := re.match(r"(?:\S+/)?upright ([a-z].*)", line))]
    assert [" ".join(words) for words in lines if not exists(words)] == []


def exists(words: list[str]) -> bool:
    """Whether the words up to the first argument name a command."""
    command: object = typer.main.get_command(app)
    while commands := getattr(command, "commands", None):
        if not words or words[0] not in commands:
            return False
        command, words = commands[words[0]], words[1:]
    return True


def test_one_events_way_is_read_in_few_and_short_files() -> None:
    """As the table of the architecture tells it: the first file of each step, up to the mail's last line."""
    table = (ROOT / "docs" / "architecture" / "README.md").read_text("utf-8")
    way = re.findall(r"^\| \d+ \|[^|]*\| `([^`]+)`", table, re.M)
    way = way[: way.index("services/notifier/smtp/transaction.py") + 1]
    assert way[0] == "services/intake/routes/events.py"
    assert len(way) < 15
    assert [path for path in way if len((ROOT / path).read_text("utf-8").splitlines()) > 210] == []


def test_every_decision_stands_in_the_list() -> None:
    folder = ROOT / "docs" / "decisions"
    listed = set(re.findall(r"\]\((\d{4}-[^)]+)\)", (folder / "README.md").read_text("utf-8")))
    assert listed == {page.name for page in folder.glob("[0-9]*.md")}
