"""Trials and patients from files, judged as the service judges: for trying criteria out. Form: docs/trials.md."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError, field_validator

from schemas.base import Contract
from schemas.patient import Fact
from schemas.text import Line
from schemas.trial_files import TrialFile, load_trial_file
from schemas.trials import RecruitmentStatus
from schemas.vocabulary import Vocabulary
from schemas.yaml_files import ProgramFilesError
from services.trials.criteria.explain import turns_true_on
from services.trials.facts.checks import FactProblem
from services.trials.facts.moments import next_change
from services.trials.facts.picture import Picture, picture
from services.trials.facts.reading import read_facts
from services.trials.facts.values import RecordedFact, Traits
from services.trials.index import cut_points, windows
from services.trials.matching.deciding import settled
from services.trials.matching.gates import Person, blocking, gates
from services.trials.matching.verdict import Matcher, TrialVerdict
from standalone.commands.errors import NO, WRONG, Failure

LOOK_AHEAD = timedelta(days=5 * 365)
"""How far to look for the day from which a patient is eligible."""

_JSON = TypeAdapter(dict[str, Any])
_SINGLE = {"value", "unit", "source", "observed_on", "valid_until"}


class FilePatient(Contract):
    """A patient of a file. ``facts``: by name a value, or an object with ``value`` and what is known of it."""

    birth_date: date | None = None
    sex: Literal["female", "male", "other", "unknown"] | None = None
    facts: tuple[dict[str, Any], ...] = ()
    trial_contact: bool = True
    deceased: bool = False
    restricted: bool = False
    guardian: bool = False

    @field_validator("facts", mode="before")
    @classmethod
    def _by_name(cls, value: Any) -> Any:
        return [_named(name, said) for name, said in value.items()] if isinstance(value, Mapping) else value


class FileFact(Contract):
    """One fact of a file. Days count in UTC; without one it was observed on the day of judgement."""

    name: Line
    value: Any
    unit: str | None = None
    source: Line = "file"
    observed_on: date | None = None
    valid_until: date | None = None

    def as_posted(self, as_of: date) -> Fact:
        """As intake would hand it on."""
        told = self.model_dump(mode="json", include={"name", "value", "unit", "source"})
        told["observed_at"] = f"{self.observed_on or as_of}T12:00:00Z"
        told["valid_until"] = f"{self.valid_until}T12:00:00Z" if self.valid_until else None
        return Fact.model_validate_json(json.dumps(told))


def _named(name: str, said: Any) -> Any:
    if isinstance(said, Mapping) and "value" in said and set(said) <= _SINGLE:
        return {"name": name, **said}
    return {"name": name, "value": said}


@dataclass(frozen=True, slots=True)
class Read:
    """A patient as judged, and what of their facts can't be taken."""

    patient: FilePatient
    recorded: Sequence[RecordedFact]
    traits: Traits
    picture: Picture
    problems: Sequence[FactProblem]


def read_trials(path: Path) -> list[TrialFile]:
    """Of a file or a folder: YAML holds one trial, JSON one or a list. ``Failure`` names every problem."""
    files = (
        sorted(each for each in path.iterdir() if each.suffix in (".yaml", ".yml", ".json"))
        if path.is_dir()
        else [path]
    )
    found = [trial for each in files for trial in _trials(each)]
    if not found:
        raise Failure(f"There is no trial in {path}.", WRONG)
    return found


def _trials(file: Path) -> list[TrialFile]:
    try:
        if file.suffix != ".json":
            return [load_trial_file(file)]
        document = _load(file)
        return [TrialFile.strict_data(each) for each in (document if isinstance(document, list) else [document])]
    except ProgramFilesError as error:
        raise Failure("\n".join(map(str, error.problems)), NO) from None
    except ValidationError as error:
        raise Failure("\n".join(f"{file.name}: {each}" for each in _said(error)), NO) from None


def read_patients(path: Path, vocabulary: Vocabulary, as_of: date) -> dict[str, Read]:
    """By the file's own ids. ``Failure`` names patient and field."""
    try:
        found = _JSON.validate_python(_load(path))
    except ValidationError:
        raise Failure(f"{path}: must hold patients by id", NO) from None
    return {name: _patient(name, said, vocabulary, as_of) for name, said in found.items()}


def _patient(name: str, said: Any, vocabulary: Vocabulary, as_of: date) -> Read:
    try:
        patient = FilePatient.strict_data(said)
        told = [FileFact.strict_data(each) for each in patient.facts]
    except ValidationError as error:
        raise Failure("\n".join(f"patient {name}: {each}" for each in _said(error)), NO) from None
    recorded, problems = read_facts([each.as_posted(as_of) for each in told], vocabulary, "UTC", as_of)
    traits = Traits(patient.birth_date, patient.sex, patient.deceased)
    return Read(patient, recorded, traits, picture(recorded, traits, vocabulary, as_of), problems)


def _load(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except OSError as error:
        raise Failure(f"{path} can't be read: {error.strerror}", WRONG) from None
    except (ValueError, RecursionError):
        raise Failure(f"{path} isn't JSON, or is nested too deeply.", NO) from None


def _said(error: ValidationError) -> list[str]:
    found = error.errors(include_url=False, include_input=False)
    return [
        f"{'.'.join(str(part) for part in each['loc'] if not str(part)[:1].isupper())}: "
        f"{each['msg'].removeprefix('Value error, ')}"
        for each in found
    ]


def judge_all(
    trials: Sequence[TrialFile], patients: Mapping[str, Read], vocabulary: Vocabulary
) -> Iterator[dict[str, Any]]:
    """One object for each pair, patient by patient."""
    matchers = {each.trial: (each, Matcher(each.eligibility())) for each in trials}
    for name, read in patients.items():
        for trial_id, (trial, matcher) in matchers.items():
            yield {"patient": name, "trial": trial_id} | _pair(trial, matcher, read, vocabulary)


def _pair(trial: TrialFile, matcher: Matcher, read: Read, vocabulary: Vocabulary) -> dict[str, Any]:
    found = matcher.verdict(read.picture)
    settles = settled(matcher, read.picture)
    from_day = _eligible_from(matcher, found, read, vocabulary)
    return {
        "verdict": found.verdict,
        "gate": _gate(trial, read),
        "failed": list(found.failed),
        "unknown": list(found.unknown),
        "deciding": [{"fact": fact, "could_be": sorted(verdicts)} for fact, verdicts in settles.items()],
        "cohort": found.cohort,
        "eligible_from": from_day.isoformat() if from_day else None,
        "as_of": read.picture.as_of.isoformat(),
    }


def _gate(trial: TrialFile, read: Read) -> dict[str, Any]:
    """What blocks storing and inviting, whatever the criteria say; a file knows no sites."""
    age, patient = read.picture.value("age"), read.patient
    asked = Person(
        trial_contact=patient.trial_contact, deceased=patient.deceased, restricted=patient.restricted,
        age=age if isinstance(age, int) else None, guardian=patient.guardian, program_offers_trials=True,
    )  # fmt: skip
    passages = gates(asked, trial.status or RecruitmentStatus.UNKNOWN, ())
    closed = blocking(passages)
    return {"open": not closed, "closed": list(closed), "notes": [each.note for each in passages if not each.open]}


def _eligible_from(matcher: Matcher, found: TrialVerdict, read: Read, vocabulary: Vocabulary) -> date | None:
    """Where one criterion alone fails and none is unknown: the day on which time makes it true."""
    if len(found.failed) != 1 or found.unknown:
        return None
    criterion = next(each for each in matcher.criteria() if each.id == found.failed[0])
    asked = [matcher.eligibility]
    cuts, spans, today = cut_points(asked), windows(asked), read.picture.as_of
    return turns_true_on(
        criterion,
        lambda day: picture(read.recorded, read.traits, vocabulary, day),
        lambda day: next_change(read.recorded, read.traits, vocabulary, cuts, day, spans),
        today,
        today + LOOK_AHEAD,
    )
