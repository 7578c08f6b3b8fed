"""Rules of the house that no linter knows: each names what it found and where."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from chassis.metrics import MetricName

ROOT = Path(__file__).parents[2]
ROOTS = ("schemas", "chassis", "services", "standalone")
SERVICES = sorted(each.parent for each in (ROOT / "services").glob("*/__init__.py"))

SIBLINGS = ("__init__", "__main__", "app", "domain", "handlers", "migrations", "routes", "settings", "store", "tables")
NOUNS = re.compile(r"patient|appointment|visit|trial|clinic|hospital|paperwork|consent|enrolment|prescri", re.I)
SCHEMAS_MAY_IMPORT = {"schemas", "pydantic", "pydantic_core", "yaml"} | sys.stdlib_module_names
WALL_CLOCKS = {("datetime", "now"), ("datetime", "utcnow"), ("datetime", "today"), ("date", "today"), ("time", "time")}
MAY_READ_A_CLOCK = {
    "chassis/clock.py": "it is the civil clock",
    "standalone/mailbox/store.py": "the real time at which a mail arrived, beside the simulated one",
}


def sources(*roots: str) -> Iterator[Path]:
    for root in roots:
        yield from sorted((ROOT / root).rglob("*.py"))


def tracked() -> list[Path]:
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if done.returncode != 0:
        pytest.skip("not a checkout")
    return [ROOT / name for name in done.stdout.decode().split("\0") if name]


def at(path: Path, line: int) -> str:
    return f"{path.relative_to(ROOT)}:{line}"


def imported(tree: ast.AST) -> Iterator[tuple[str, int]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module or "", node.lineno


def test_the_schemas_import_only_pydantic_pyyaml_and_the_standard_library() -> None:
    found = [
        f"{at(path, line)} {name}"
        for path in sources("schemas")
        for name, line in imported(ast.parse(path.read_text("utf-8")))
        if name.partition(".")[0] not in SCHEMAS_MAY_IMPORT
    ]
    assert found == []


def test_the_chassis_knows_no_noun_of_the_services() -> None:
    found = [
        f"{at(path, number)} {match[0]}"
        for path in sources("chassis")
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        for match in NOUNS.finditer(line)
    ]
    assert found == []


def test_no_module_is_a_drawer_for_everything() -> None:
    drawers = {"util", "utils", "helper", "helpers", "common", "misc"}
    assert [str(path) for path in sources(*ROOTS, "tests") if {path.stem, path.parent.name} & drawers] == []


def test_only_the_clock_reads_the_clock() -> None:
    found = [
        at(path, node.lineno)
        for path in sources(*ROOTS)
        if str(path.relative_to(ROOT)) not in MAY_READ_A_CLOCK
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and (node.value.id, node.attr) in WALL_CLOCKS
    ]
    assert found == []


@pytest.mark.parametrize("service", SERVICES, ids=lambda each: each.name)
def test_sibling_services_have_the_same_files(service: Path) -> None:
    there = {each.stem for each in service.iterdir()}
    assert [name for name in SIBLINGS if name not in there] == []


def test_no_tracked_file_names_a_registrys_host_or_a_folder_of_one_machine() -> None:
    # Split, so that this file doesn't name them.
    hosts = ("py" + "pi.org", "pythonho" + "sted", "deb.deb" + "ian", "repo1.mav" + "en", "registry.npm" + "js")
    folders = ("/ro" + "ot/", "/wo" + "rk/", "/ho" + "me/")
    pattern = re.compile("|".join(map(re.escape, (*hosts, *folders))).encode())
    found = [
        at(path, number)
        for path in tracked()
        if path.is_file() and path.suffix not in {".png", ".pdf"}
        for number, line in enumerate(path.read_bytes().splitlines(), 1)
        if pattern.search(line)
    ]
    assert found == []


LOCKS = {"requirements.lock": False, "requirements-dev.lock": True}


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_holds_versions_and_hashes_and_no_address(lock: str) -> None:
    text = (ROOT / lock).read_text()
    assert re.findall(r"^.*(?:https?:|--(?:extra-)?index|--find-links|--trusted).*$", text, re.M) == []
    packages = re.split(r"^(?=[a-z0-9])", text, flags=re.M)
    assert [
        each for each in packages if each and not re.match(r"\S+==\S+ .*\n    --hash=sha256:[0-9a-f]{64}", each)
    ] == []


@pytest.mark.parametrize(("lock", "with_dev"), LOCKS.items())
def test_a_lock_gives_what_the_project_asks_for(lock: str, with_dev: bool) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    asked = [*project["project"]["dependencies"], *project["project"]["optional-dependencies"]["standalone"]]
    asked += project["dependency-groups"]["dev"] if with_dev else []
    locked = dict(re.findall(r"^([a-z0-9-]+)==(\S+)", (ROOT / lock).read_text(), re.M))
    missing = [
        each for each in map(Requirement, asked)
        if locked.get(canonicalize_name(each.name), "none") not in each.specifier
    ]  # fmt: skip
    assert missing == [], "run `make lock`"


@pytest.mark.parametrize("metric", get_args(MetricName))
def test_every_metric_is_set_somewhere(metric: str) -> None:
    written = [each.read_text("utf-8") for root in ("chassis", "services") for each in (ROOT / root).rglob("*.py")]
    assert sum(f'"{metric}"' in text for text in written) > 1, "beside its definition"
