"""YAML files that people edit: every scalar is read as text, and every problem names file, line and reason.

Text is typed by a model later, so that YAML never turns ``10:00`` into 600. A name that stands twice and an alias are
problems: one hides a value, the other makes a file that can't be read line by line.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from typing import Any

import yaml

from schemas.bounded import MAX_LEVELS, TooDeepError, too_deep


@dataclass(frozen=True, slots=True)
class FileProblem:
    """What is wrong, and where. ``file`` is ``<folder>/<name>``; ``line`` counts from 1."""

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


def compose(file: Traversable, name: str) -> yaml.MappingNode:
    """The file's tree; ``ProgramFilesError`` for what isn't one mapping of plain YAML. ``name`` stands in problems."""
    try:
        text = file.read_text(encoding="utf-8")
        aliases = [each for each in _events(text) if isinstance(each, yaml.AliasEvent)]
        node = yaml.compose(text, yaml.CBaseLoader)
    except FileNotFoundError:
        raise ProgramFilesError([FileProblem(name, 1, "is missing")]) from None
    except UnicodeDecodeError:
        raise ProgramFilesError([FileProblem(name, 1, "is not UTF-8")]) from None
    except yaml.YAMLError as error:
        raise ProgramFilesError([_not_yaml(error, name)]) from None
    except TooDeepError as error:
        raise ProgramFilesError([FileProblem(name, error.line, str(error))]) from None
    if aliases:
        problems = [FileProblem(name, line_of(each), "has an alias; write the value again") for each in aliases]
        raise ProgramFilesError(problems)
    if not isinstance(node, yaml.MappingNode):
        raise ProgramFilesError([FileProblem(name, 1, "must hold named values")])
    if unclear := [FileProblem(name, line_of(key), reason) for key, reason in _unclear(node)]:
        raise ProgramFilesError(unclear)
    return node


def _events(text: str) -> Iterator[yaml.Event]:
    """All events; ``TooDeepError`` before what composes them recurses too far."""
    level = 0
    for each in yaml.parse(text, yaml.CBaseLoader):
        level += isinstance(each, yaml.CollectionStartEvent) - isinstance(each, yaml.CollectionEndEvent)
        if level > MAX_LEVELS:
            raise too_deep(text, each.start_mark.index if each.start_mark else 0)
        yield each


def _not_yaml(error: yaml.YAMLError, name: str) -> FileProblem:
    mark = getattr(error, "problem_mark", None)
    reason = getattr(error, "problem", None) or "has a character that YAML doesn't allow"
    return FileProblem(name, mark.line + 1 if mark else 1, f"is not YAML: {reason}")


def _unclear(node: yaml.Node) -> Iterator[tuple[yaml.Node, str]]:
    """Names that stand twice in one mapping, or are no text."""
    seen: set[str] = set()
    for key, value in node.value if isinstance(node, yaml.MappingNode) else ():
        if not isinstance(key, yaml.ScalarNode):
            yield key, "a name must be text"
        elif key.value in seen:
            yield key, f"{key.value}: stands twice"
        seen.add(str(key.value))
        yield from _unclear(value)
    for value in node.value if isinstance(node, yaml.SequenceNode) else ():
        yield from _unclear(value)


def line_of(node: yaml.Node | yaml.Event) -> int:
    """Counted from 1."""
    return int(node.start_mark.line) + 1 if node.start_mark else 1


def named(node: yaml.Node | None) -> dict[str, yaml.Node]:
    """The children of a mapping; none of anything else."""
    return {str(key.value): value for key, value in node.value} if isinstance(node, yaml.MappingNode) else {}


def plain(node: yaml.Node) -> Any:
    """Mappings, lists and text."""
    if isinstance(node, yaml.MappingNode):
        return {name: plain(value) for name, value in named(node).items()}
    if isinstance(node, yaml.SequenceNode):
        return [plain(value) for value in node.value]
    return node.value


def at(node: yaml.Node, path: Sequence[str | int]) -> yaml.Node:
    """The node at ``path``, or the nearest one above it."""
    for part in path:
        if part in (children := named(node)):
            node = children[str(part)]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
        else:
            return node
    return node
