"""What a program's values mean together: the rules that no single field can hold. Pure; ``upright programs check``."""

import re
from collections.abc import Iterator
from importlib.resources.abc import Traversable
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from schemas.program_files import LoadedProgram, load_program, load_programs, program_folders
from schemas.programs import Policy, Program, StepId
from schemas.vocabulary_files import check_vocabulary
from schemas.yaml_files import FileProblem, ProgramFilesError

_PLAIN_WORDS = frozenset({"a", "and", "at", "care", "center", "centre", "clinic", "for", "in", "of", "program", "the"})
_PLACE = re.compile(r"\bin (?:[A-Z]\w+ ?)+$")
_UNITS = {"D": 24 * 60, "H": 60, "M": 1}

Finding = tuple[list[str | int], str]
"""A path in the program and what is wrong there."""


def check_programs(root: Traversable, *, demo: bool = False) -> list[FileProblem]:
    """Every problem of every program below ``root``; empty when all is well. Unfilled fields are no problem here."""
    problems: list[FileProblem] = []
    codes: set[str] = set()
    for folder in program_folders(root):
        try:
            loaded = load_program(folder, root / "policy.yaml", demo=demo)
        except ProgramFilesError as error:
            problems += error.problems
            continue
        problems += [*check_program(loaded), *check_vocabulary(folder)]
        if loaded.program.public_code in codes:
            problems.append(loaded.sources.problem(["public_code"], "another program has it"))
        codes.add(loaded.program.public_code)
    return list(dict.fromkeys(problems))


def sound_programs(root: Traversable | None = None, *, demo: bool = False) -> dict[str, Program]:
    """The programs a service may start with, by public code (default: the shipped ones).

    ``ProgramFilesError`` names every problem: a program that means nonsense doesn't start.
    """
    loaded = load_programs(root, demo=demo)
    if problems := [problem for each in loaded.values() for problem in check_program(each)]:
        raise ProgramFilesError(problems)
    return {code: each.program for code, each in loaded.items()}


def check_program(loaded: LoadedProgram) -> list[FileProblem]:
    """What is wrong with the values of one program that loads."""
    rules = (_zone, _steps, _preparation, _paperwork, _windows, _deny_list)
    return [loaded.sources.problem(path, reason) for rule in rules for path, reason in rule(loaded.program)]


def minutes_before(step: StepId) -> int:
    """How far before a visit a step stands; a day counts 24 hours, which is enough to put steps in order."""
    return int(re.sub(r"\D", "", step)) * _UNITS[step[-1]]


def _zone(program: Program) -> Iterator[Finding]:
    try:
        ZoneInfo(program.zone)
    except (ZoneInfoNotFoundError, ValueError):
        yield ["zone"], "is not the name of a time zone"


def _steps(program: Program) -> Iterator[Finding]:
    for code, kind in program.visit_types.items():
        if not kind.steps:
            yield ["visit_types", code], "can be booked in no modality"
        for modality, each in kind.steps.items():
            place: list[str | int] = ["visit_types", code, "steps", modality]
            if not each.steps:
                yield place, "has no step"
            if not _in_order(each.steps):
                yield place, "must go from the earliest to the latest, each once"
            if each.confirm_at is not None and each.confirm_at not in each.steps:
                yield place, f"asks to confirm at {each.confirm_at}, which is none of its steps"


def _in_order(steps: tuple[StepId, ...]) -> bool:
    ahead = [minutes_before(step) for step in steps]
    return ahead == sorted(set(ahead), reverse=True)


def _preparation(program: Program) -> Iterator[Finding]:
    kinds = [kind for kind in program.visit_types.values() if kind.preparation]
    known = {step for kind in kinds for each in kind.steps.values() for step in each.steps}
    for index, item in enumerate(program.preparation):
        if not item.steps:
            yield ["preparation", index, "steps"], "is shown at no step"
        for step in sorted(item.steps - known):
            yield ["preparation", index, "steps"], f"{step} is a step of no visit with preparation"
    if kinds and not program.preparation:
        yield ["visit_types"], "ask for a preparation that isn't there"


def _paperwork(program: Program) -> Iterator[Finding]:
    paperwork = program.policy.paperwork
    known = {step for kind in program.visit_types.values() for each in kind.steps.values() for step in each.steps}
    for rung in paperwork.rungs:
        if rung not in known and rung not in paperwork.own:
            yield ["policy", "paperwork", "rungs"], f"{rung} rides on no visit's step and is no mail of its own"
    for rung in paperwork.own:
        if rung not in paperwork.rungs:
            yield ["policy", "paperwork", "own"], f"{rung} is no rung"
    if not _in_order(paperwork.rungs):
        yield ["policy", "paperwork", "rungs"], "must go from the earliest to the latest, each once"


def _windows(program: Program) -> Iterator[Finding]:
    policy: Policy = program.policy
    for name in ("care", "notices", "trials"):
        window = getattr(policy.windows, name)
        if window.opens >= window.closes:
            yield ["policy", "windows", name], "closes before it opens"
        if not window.weekdays:
            yield ["policy", "windows", name, "weekdays"], "is open on no day"
    if not policy.windows.care.opens <= policy.hour < policy.windows.care.closes:
        yield ["policy", "hour"], "is outside the window for care"
    if program.staffed_opens and program.staffed_closes and program.staffed_opens >= program.staffed_closes:
        yield ["staffed_closes"], "is not after staffed_opens"


def _deny_list(program: Program) -> Iterator[Finding]:
    """No word of the full name may go out in the clear, but the public name, a place at its end, and plain words."""
    left = f" {' '.join(_words(_PLACE.sub('', program.full_name)))} "
    for term in sorted((program.public_name, *program.deny_list), key=len, reverse=True):
        left = left.replace(f" {' '.join(_words(term))} ", " ")
    for word in left.split():
        if word not in _PLAIN_WORDS:
            yield ["deny_list"], f"lacks '{word}' of the program's full name"


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())
