"""Reads a program's folder: ``program.yaml`` (its public page), ``site.yaml`` (the hospital), ``demo.yaml`` (ours).

Every value carries where it comes from: ``{value: …, from: page}``. A problem names file, line and reason. All
scalars are read as text and typed by the ``Program`` model, so that YAML never turns ``10:00`` into 600.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

import yaml
from pydantic import ValidationError

from schemas.programs import Program

MUST_FILL = "hospital_must_fill"
NEEDED_TO_SEND = ("sender", "mail_domain", "emergency", "phone")
_SOURCES = {"program.yaml": {"page", "geography", "assigned"}, "site.yaml": {"hospital"}, "demo.yaml": {"demo"}}
_DERIVED = {"version", "missing", "demo"}
_FIELDS = (set(Program.model_fields) - _DERIVED) | {"policy"}


@dataclass(frozen=True, slots=True)
class FileProblem:
    """What is wrong, and where. ``line`` counts from 1."""

    file: str
    line: int
    reason: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.reason}"


class ProgramFilesError(ValueError):
    """A program's files don't load; ``problems`` names every one."""

    def __init__(self, problems: Sequence[FileProblem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a value comes from. ``quote`` is the page's own wording, where there is one."""

    source: str
    file: str
    line: int
    quote: str | None = None


@dataclass(frozen=True, slots=True)
class LoadedProgram:
    """A program and the provenance of each of its fields."""

    folder: str
    program: Program
    provenance: Mapping[str, Provenance]


@dataclass(frozen=True, slots=True)
class _Value:
    node: yaml.Node
    file: str
    source: str
    quote: str | None


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _plain(node: yaml.Node) -> Any:
    if isinstance(node, yaml.MappingNode):
        return {str(key.value): _plain(value) for key, value in node.value}
    if isinstance(node, yaml.SequenceNode):
        return [_plain(value) for value in node.value]
    return node.value


def _compose(file: Traversable) -> yaml.MappingNode:
    try:
        node = yaml.compose(file.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ProgramFilesError([FileProblem(file.name, line, error.problem or "is not YAML")]) from None
    if not isinstance(node, yaml.MappingNode):
        raise ProgramFilesError([FileProblem(file.name, 1, "must hold named values")])
    return node


def _entries(file: Traversable, allowed: set[str], problems: list[FileProblem]) -> dict[str, _Value]:
    found: dict[str, _Value] = {}
    for key, node in _compose(file).value:
        name, parts = str(key.value), dict(_named(node))
        source = str(parts["from"].value) if "from" in parts else ""
        if name not in _FIELDS:
            problems.append(FileProblem(file.name, _line(key), f"{name}: is not a field of a program"))
        elif name in found:
            problems.append(FileProblem(file.name, _line(key), f"{name}: stands twice"))
        elif "value" not in parts or not source:
            problems.append(FileProblem(file.name, _line(key), f"{name}: needs 'value' and 'from'"))
        elif source not in allowed:
            reason = f"{name}: comes from '{source}'; this file takes {' or '.join(sorted(allowed))}"
            problems.append(FileProblem(file.name, _line(key), reason))
        else:
            quote = parts.get("quote")
            found[name] = _Value(parts["value"], file.name, source, str(quote.value) if quote else None)
    return found


def _named(node: yaml.Node) -> Iterable[tuple[str, yaml.Node]]:
    return [(str(key.value), value) for key, value in node.value] if isinstance(node, yaml.MappingNode) else []


def _at(node: yaml.Node, path: Sequence[str | int]) -> yaml.Node:
    """The node at ``path``, or the nearest one above it."""
    for part in path:
        if isinstance(node, yaml.MappingNode) and part in dict(_named(node)):
            node = dict(_named(node))[str(part)]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
        else:
            return node
    return node


def _merged(base: Any, over: Any) -> Any:
    if isinstance(base, dict) and isinstance(over, dict):
        return base | {key: _merged(base.get(key), value) for key, value in over.items()}
    return over


def _with_steps(types: Mapping[str, Any], by_family: Mapping[str, Any]) -> dict[str, Any]:
    """Each visit type gets the steps of its family."""
    resolved = {}
    for code, each in types.items():
        family = each.get("family", "")
        rest = {key: value for key, value in each.items() if key != "family"}
        resolved[code] = rest | {"steps": by_family.get(family, {})}
    return resolved


def load_program(folder: Traversable, policy: Traversable, *, demo: bool = False) -> LoadedProgram:
    """One program. ``demo`` also reads ``demo.yaml``; ``ProgramFilesError`` names every problem found."""
    problems: list[FileProblem] = []
    values: dict[str, _Value] = {}
    for name in ("program.yaml", "site.yaml", *(["demo.yaml"] if demo else [])):
        file = folder / name
        if file.is_file():
            values |= _entries(file, _SOURCES[name], problems)
        elif name == "program.yaml":
            problems.append(FileProblem(name, 1, "is missing"))
    plain = {name: _plain(value.node) for name, value in values.items()}
    shipped = _plain(_compose(policy))
    chosen = _merged(shipped, plain.pop("policy", {}))
    filled = {name: value for name, value in plain.items() if value != MUST_FILL}
    filled["visit_types"] = _with_steps(filled.get("visit_types", {}), chosen.pop("steps", {}))
    version = _digest([*(folder / name for name in _SOURCES), policy])
    filled |= {"policy": chosen, "missing": _missing(plain), "demo": demo, "version": version}
    if problems:
        raise ProgramFilesError(problems)
    try:
        program = Program.strict_data(filled)
    except ValidationError as error:
        found = [_problem(each["loc"], each["msg"], values, folder) for each in error.errors()]
        raise ProgramFilesError(found) from None
    return LoadedProgram(folder.name, program, {name: _provenance(value) for name, value in values.items()})


def _missing(plain: Mapping[str, Any]) -> tuple[str, ...]:
    blank = {name for name, value in plain.items() if value == MUST_FILL}
    absent = {name for name in NEEDED_TO_SEND if name not in plain}
    if "contact_instruction" in plain:
        absent.discard("phone")
    return tuple(sorted(blank | absent))


def _provenance(value: _Value) -> Provenance:
    return Provenance(value.source, value.file, _line(value.node), value.quote)


def _problem(path: tuple[Any, ...], reason: str, values: Mapping[str, _Value], folder: Traversable) -> FileProblem:
    value, dotted = values.get(str(path[0])), ".".join(map(str, path))
    if value is None:
        file = "policy.yaml" if path[0] == "policy" else "program.yaml"
        return FileProblem(f"{folder.name}/{file}", 1, f"{dotted}: {reason}")
    return FileProblem(f"{folder.name}/{value.file}", _line(_at(value.node, path[1:])), f"{dotted}: {reason}")


def _digest(parts: Iterable[Traversable]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.read_bytes() if part.is_file() else b"")
        digest.update(b"\0")
    return digest.hexdigest()[:16]


def load_programs(root: Traversable | None = None, *, demo: bool = False) -> dict[str, LoadedProgram]:
    """All programs of a folder (default: the shipped ones), by public code."""
    root = root or files("programs")
    loaded: dict[str, LoadedProgram] = {}
    for folder in sorted(root.iterdir(), key=lambda each: each.name):
        if not folder.is_dir() or not (folder / "program.yaml").is_file():
            continue
        one = load_program(folder, root / "policy.yaml", demo=demo)
        if one.program.public_code in loaded:
            reason = "public_code: another program has it"
            raise ProgramFilesError([FileProblem(f"{folder.name}/program.yaml", 1, reason)])
        loaded[one.program.public_code] = one
    return loaded
