"""The generated files: what they should be, what they are, and what may be written over what."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from standalone.contracts.asyncapi import asyncapi
from standalone.contracts.compatible import incompatibilities
from standalone.contracts.examples import examples
from standalone.contracts.json_schemas import json_schemas

Files = Mapping[str, bytes]
"""Bytes by path below ``schemas``."""

UNVERSIONED = frozenset({"generated/program.json"})  # a program's files travel with the code that reads them


def generated() -> dict[str, bytes]:
    """The JSON Schemas and the AsyncAPI document of today's models."""
    schemas = {f"generated/{name}.json": dumped(schema) for name, schema in json_schemas().items()}
    document = yaml.safe_dump(asyncapi(), sort_keys=True, allow_unicode=True, width=120)
    return {**schemas, "generated/asyncapi.yaml": document.encode()}


def stored(root: Path) -> dict[str, bytes]:
    """The files as they are."""
    found = (each for folder in ("generated", "examples") for each in (root / folder).rglob("*") if each.is_file())
    return {each.relative_to(root).as_posix(): each.read_bytes() for each in found}


def new_examples(there: Files) -> dict[str, bytes]:
    """Examples of today's models that aren't there yet, under the next free numbers."""
    known = set(there.values())
    fresh: dict[str, bytes] = {}
    for event, record in examples():
        if (content := dumped(record)) not in known:
            folder = f"examples/{event.name}.v{event.major}/"
            number = sum(path.startswith(folder) for path in [*there, *fresh]) + 1
            fresh[f"{folder}{number}.json"] = content
    return fresh


def breaks(old: Files, new: Files) -> Iterator[str]:
    """What readers of the old contracts wouldn't survive, and golden examples that aren't what they were."""
    for path in sorted(old.keys() - UNVERSIONED):
        if path.startswith("examples/") and new.get(path) != old[path]:
            yield f"{path}: was changed; golden examples are kept for ever"
        elif path.startswith("generated/") and path.endswith(".json"):
            reasons = incompatibilities(json.loads(old[path]), json.loads(new[path])) if path in new else ["is gone"]
            yield from (f"{path}: {reason}; this needs a new major version" for reason in reasons)


def drift(there: Files) -> Iterator[str]:
    """Where the files aren't what today's models say."""
    today = generated()
    kept = {path: content for path, content in there.items() if path.startswith("generated/")}
    for path in sorted(today.keys() | kept.keys()):
        if today.get(path) != kept.get(path):
            yield f"{path}: is not what the models say; run `make contracts`"
    yield from (f"{path}: is missing; run `make contracts`" for path in sorted(new_examples(there)))


def write(root: Path) -> list[str]:
    """Write what changed, nothing at all when that breaks something; what was written, or ``BreaksError``."""
    there = stored(root)
    today = generated()
    examples_kept = {path: content for path, content in there.items() if path.startswith("examples/")}
    if refused := list(breaks(there, today | examples_kept)):
        raise BreaksError(refused)
    changed = {path: content for path, content in today.items() if there.get(path) != content} | new_examples(there)
    for path, content in changed.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)
    return sorted(changed)


class BreaksError(ValueError):
    """Readers of the same major version wouldn't survive the change; the arguments say where."""

    def __init__(self, reasons: list[str]) -> None:
        super().__init__("\n".join(reasons))


def dumped(content: Any) -> bytes:
    """JSON, always the same way."""
    return (json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()
