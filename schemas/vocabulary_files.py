"""Reads a program's vocabulary, ``facts.yaml``; a problem names file, line and reason."""

from collections.abc import Mapping, Sequence
from importlib.resources import files
from importlib.resources.abc import Traversable
from types import MappingProxyType

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from schemas.program_files import load_programs
from schemas.vocabulary import MISFITS, VISIT_TYPE, Vocabulary
from schemas.yaml_files import FileProblem, ProgramFilesError, at, compose, line_of, named, plain

FILE = "facts.yaml"


def load_vocabularies(root: Traversable | None = None, *, demo: bool = False) -> dict[str, Vocabulary]:
    """The vocabulary of every program of a folder (default: the shipped ones), by public code."""
    root = root or files("programs")
    programs = load_programs(root, demo=demo)
    return {
        code: load_vocabulary(root / each.folder, {name: kind.name for name, kind in each.program.visit_types.items()})
        for code, each in programs.items()
    }


def load_vocabulary(folder: Traversable, visit_types: Mapping[str, str] = MappingProxyType({})) -> Vocabulary:
    """One program's; that of the person alone where there is no file. ``ProgramFilesError`` names every problem.

    ``visit_types``: the program's, names by code; without any, a criterion may name any code as a visit's type.
    """
    if not (folder / FILE).is_file():
        return Vocabulary()
    name = f"{folder.name}/{FILE}"
    node = compose(folder / FILE, name)
    try:
        found = Vocabulary.strict_data(plain(node))
    except ValidationError as error:
        raise ProgramFilesError([one for each in error.errors() for one in _problems(each, node, name)]) from None
    if path := _visit_types_told(found):
        raise ProgramFilesError([_problem(path, "the program's visit types are its values", node, name)])
    return found.with_visit_types(visit_types)


def check_vocabulary(folder: Traversable) -> tuple[FileProblem, ...]:
    """What is wrong with one program's vocabulary."""
    try:
        load_vocabulary(folder)
    except ProgramFilesError as error:
        return error.problems
    return ()


def _visit_types_told(vocabulary: Vocabulary) -> Sequence[str]:
    """Where the vocabulary itself says what the type of a visit can be, which the program's file says."""
    name = vocabulary.of_appointments
    field = vocabulary.facts[name].fields.get(VISIT_TYPE) if name else None
    return ("facts", str(name), "fields", VISIT_TYPE, "values") if field and field.values else ()


def _problems(error: ErrorDetails, node: yaml.Node, file: str) -> list[FileProblem]:
    """The places in the file behind one problem of the model; of names that don't fit together, each has its own."""
    if error["type"] == MISFITS:
        return [_problem(_path(node, name), reason, node, file) for name, reason in error["ctx"]["by_name"]]
    return [_problem(error["loc"], error["msg"].removeprefix("Value error, "), node, file)]


def _path(node: yaml.Node, name: str) -> tuple[str, str]:
    return ("derived" if name in named(named(node).get("derived")) else "facts", name)


def _problem(path: Sequence[str | int], reason: str, node: yaml.Node, file: str) -> FileProblem:
    return FileProblem(file, line_of(at(node, path)), f"{'.'.join(map(str, path))}: {reason}")
