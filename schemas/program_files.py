"""Reads a program's folder: ``program.yaml`` (its public page), ``site.yaml`` (the hospital), ``demo.yaml`` (ours).

Every value carries where it comes from: ``{value: …, from: page}``. A problem names file, line and reason.
``schemas.program_checks`` looks at what the values mean together.
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
from schemas.yaml_files import FileProblem, ProgramFilesError, at, compose, line_of, named, plain

MUST_FILL = "hospital_must_fill"
NEEDED_TO_SEND = ("sender", "mail_domain", "emergency", "phone")
FOR_TRIALS_ALONE = frozenset({"trials_sender"})
"""Without these a program sends all its other mail."""
_SOURCES = {"program.yaml": {"page", "geography", "assigned"}, "site.yaml": {"hospital"}, "demo.yaml": {"demo"}}
_FIELDS = set(Program.model_fields) - {"version", "missing", "demo"}


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a value comes from. ``quote`` is the page's own wording, where there is one."""

    source: str
    file: str
    line: int
    quote: str | None = None


@dataclass(frozen=True, slots=True)
class _Value:
    node: yaml.Node
    file: str
    source: str
    quote: str | None


@dataclass(frozen=True, slots=True)
class Sources:
    """Where each value stands: the program's own, and the shipped policy below them."""

    folder: str
    values: Mapping[str, _Value]
    policy: yaml.MappingNode

    def problem(self, path: Sequence[str | int], reason: str) -> FileProblem:
        """What is wrong with the value at ``path``, at the line of the nearest value above it."""
        path = self._written(path)
        dotted, value = ".".join(map(str, path)), self.values.get(str(path[0]))
        if path[0] == "policy" and not (value and _is_at(value.node, path[1:])):
            return FileProblem("policy.yaml", line_of(at(self.policy, path[1:])), f"{dotted}: {reason}")
        file, line = (value.file, line_of(at(value.node, path[1:]))) if value else ("program.yaml", 1)
        return FileProblem(f"{self.folder}/{file}", line, f"{dotted}: {reason}")

    def _written(self, path: Sequence[str | int]) -> Sequence[str | int]:
        """Where it was written: a visit type's steps stand in the policy, under its family."""
        if path[0] == "visit_types" and tuple(path[2:3]) == ("steps",):
            family = plain(at(self.values["visit_types"].node, [path[1], "family"]))
            return ["policy", "steps", str(family), *path[3:]]
        return path


@dataclass(frozen=True, slots=True)
class LoadedProgram:
    """A program and the provenance of each of its fields."""

    folder: str
    program: Program
    provenance: Mapping[str, Provenance]
    sources: Sources


def load_programs(root: Traversable | None = None, *, demo: bool = False) -> dict[str, LoadedProgram]:
    """All programs of a folder (default: the shipped ones), by public code. ``demo`` also reads ``demo.yaml``."""
    root = root or files("programs")
    loaded: dict[str, LoadedProgram] = {}
    for folder in program_folders(root):
        one = load_program(folder, root / "policy.yaml", demo=demo)
        if one.program.public_code in loaded:
            raise ProgramFilesError([one.sources.problem(["public_code"], "another program has it")])
        loaded[one.program.public_code] = one
    return loaded


def program_folders(root: Traversable) -> list[Traversable]:
    """The folders that hold a program, by name."""
    found = (each for each in root.iterdir() if each.is_dir() and any((each / name).is_file() for name in _SOURCES))
    return sorted(found, key=lambda each: each.name)


def load_program(folder: Traversable, policy: Traversable, *, demo: bool = False) -> LoadedProgram:
    """One program. ``demo`` also reads ``demo.yaml``; ``ProgramFilesError`` names every problem found."""
    sources = Sources(folder.name, _values(folder, demo), compose(policy, policy.name))
    texts = {name: plain(value.node) for name, value in sources.values.items()}
    filled, missing = _filled(texts)
    chosen = _merged(plain(sources.policy), filled.pop("policy", {}))
    merged = filled | _with_steps(filled.get("visit_types"), chosen, sources)
    merged |= {"missing": _missing(missing, texts), "demo": demo, "version": _digest(folder, policy)}
    try:
        program = Program.strict_data(merged)
    except ValidationError as error:
        raise ProgramFilesError([sources.problem(each["loc"], each["msg"]) for each in error.errors()]) from None
    provenance = {
        name: Provenance(each.source, each.file, line_of(each.node), each.quote)
        for name, each in sources.values.items()
    }
    return LoadedProgram(folder.name, program, provenance, sources)


def _values(folder: Traversable, demo: bool) -> dict[str, _Value]:
    problems: list[FileProblem] = []
    values: dict[str, _Value] = {}
    for name in ("program.yaml", "site.yaml", *(["demo.yaml"] if demo else [])):
        if name == "program.yaml" or (folder / name).is_file():
            values |= _entries(folder, name, problems)
    if problems:
        raise ProgramFilesError(problems)
    return values


def _entries(folder: Traversable, name: str, problems: list[FileProblem]) -> dict[str, _Value]:
    found: dict[str, _Value] = {}
    for key, node in compose(folder / name, f"{folder.name}/{name}").value:
        field, parts = str(key.value), named(node)
        source = str(parts["from"].value) if "from" in parts else ""
        if reason := _wrong(field, parts, source, _SOURCES[name]):
            problems.append(FileProblem(f"{folder.name}/{name}", line_of(key), f"{field}: {reason}"))
        else:
            quote = parts.get("quote")
            found[field] = _Value(parts["value"], name, source, str(quote.value) if quote else None)
    return found


def _wrong(field: str, parts: Mapping[str, yaml.Node], source: str, allowed: set[str]) -> str | None:
    if field not in _FIELDS:
        return "is not a field of a program"
    if "value" not in parts or not source:
        return "needs 'value' and 'from'"
    if unknown := parts.keys() - {"value", "from", "quote"}:
        return f"takes 'value', 'from' and 'quote', not '{min(unknown)}'"
    return None if source in allowed else f"comes from '{source}'; this file takes {' or '.join(sorted(allowed))}"


def _is_at(node: yaml.Node, path: Sequence[str | int]) -> bool:
    """Whether the program itself says something there, if only in part."""
    return not path or str(path[0]) in named(node)


def _filled(value: Any, name: str = "") -> tuple[Any, list[str]]:
    """What is filled in, and the dotted names of what isn't, however deep it stands."""
    if not isinstance(value, dict):
        return value, []
    filled, missing = {}, []
    for key, each in value.items():
        if each == MUST_FILL:
            missing.append(f"{name}{key}")
        else:
            filled[key], inside = _filled(each, f"{name}{key}.")
            missing += inside
    return filled, missing


def _merged(base: Any, over: Any) -> Any:
    if isinstance(base, dict) and isinstance(over, dict):
        return base | {key: _merged(base.get(key), value) for key, value in over.items()}
    return over


def _with_steps(types: Any, policy: Any, sources: Sources) -> dict[str, Any]:
    """Each visit type gets the steps of its family, which stand in the policy and leave it here."""
    by_family = policy.pop("steps", None) if isinstance(policy, dict) else None
    by_family = by_family if isinstance(by_family, dict) else {}
    resolved = {}
    for code, each in types.items() if isinstance(types, dict) else ():
        family = each.pop("family", None) if isinstance(each, dict) else None
        if family not in by_family:
            raise ProgramFilesError([sources.problem(["visit_types", code, "family"], "has no steps in the policy")])
        resolved[code] = each | {"steps": by_family[family]}
    return {"visit_types": resolved if isinstance(types, dict) else types or {}, "policy": policy}


def _missing(blank: Iterable[str], texts: Mapping[str, Any]) -> tuple[str, ...]:
    absent = {name for name in NEEDED_TO_SEND if name not in texts}
    if "contact_instruction" in texts:
        absent.discard("phone")
    return tuple(sorted({*blank, *absent} - FOR_TRIALS_ALONE))


def _digest(folder: Traversable, policy: Traversable) -> str:
    digest = hashlib.sha256()
    for part in (*(folder / name for name in _SOURCES), policy):
        digest.update(part.read_bytes() if part.is_file() else b"")
        digest.update(b"\0")
    return digest.hexdigest()[:16]
