"""Criteria of a trial as people write them: ``programs/trials/<registry id>.yaml``, beside the registry's record.

Every problem names file, line, criterion and field. What the file leaves out (title, status, ages, sex) stands in the
record.
"""

import re
from collections.abc import Sequence
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

import yaml
from pydantic import ValidationError

from schemas.criteria import Eligibility
from schemas.text import Line
from schemas.trials import RecruitmentStatus, RegistryId
from schemas.yaml_files import FileProblem, ProgramFilesError, at, compose, line_of, named, plain

_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?")


class TrialFile(Eligibility):
    """A trial's criteria, and what stands in for the registry's record where there is none."""

    trial: RegistryId
    title: Line | None = None
    status: RecruitmentStatus | None = None

    def eligibility(self) -> Eligibility:
        """What a verdict depends on."""
        return Eligibility.model_validate({name: getattr(self, name) for name in Eligibility.model_fields})


def load_trial_files(folder: Traversable | None = None) -> dict[str, TrialFile]:
    """All of a folder (default: the shipped examples), by registry id."""
    folder = folder or files("programs") / "trials"
    found = [load_trial_file(each) for each in folder.iterdir() if each.name.endswith(".yaml")]
    return {each.trial: each for each in sorted(found, key=lambda each: each.trial)}


def load_trial_file(file: Traversable) -> TrialFile:
    """One trial; ``ProgramFilesError`` names every problem."""
    node = compose(file, file.name)
    try:
        return TrialFile.strict_data(_typed(node))
    except ValidationError as error:
        raise ProgramFilesError(
            [_problem(each["loc"], each["msg"], node, file.name) for each in error.errors()]
        ) from None


def _typed(node: yaml.Node, inside: bool = False) -> Any:
    """Text, but in expressions what isn't quoted is a number or a boolean where it looks like one."""
    if isinstance(node, yaml.MappingNode):
        return {name: _typed(each, inside or name == "expression") for name, each in named(node).items()}
    if isinstance(node, yaml.SequenceNode):
        return [_typed(each, inside) for each in node.value]
    text = str(plain(node))
    if not inside or not isinstance(node, yaml.ScalarNode) or node.style:
        return text
    if text in ("true", "false"):
        return text == "true"
    if _NUMBER.fullmatch(text):
        return float(text) if "." in text else int(text)
    return text


def _problem(location: Sequence[str | int], message: str, node: yaml.Node, file: str) -> FileProblem:
    """The models' names in a location say which kind of node it was; a file has none of them."""
    path = [each for each in location if not (isinstance(each, str) and each[:1].isupper())]
    criterion = named(at(node, path[: path.index("criteria") + 2])).get("id") if "criteria" in path else None
    name = f"criterion {plain(criterion)}: " if criterion is not None else ""
    reason = message.removeprefix("Value error, ").removeprefix(name)
    return FileProblem(file, line_of(at(node, path)), f"{name}{'.'.join(map(str, path))}: {reason}")
