"""The checked-in contracts are those of today's models; a change that breaks readers can't be written or hidden."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from typer.testing import CliRunner

from schemas.registry import EVENT_TYPES
from schemas.topics import ALL_TOPICS, SUBSCRIPTION
from standalone.contracts import files
from standalone.contracts.__main__ import ROOT, app
from standalone.contracts.asyncapi import asyncapi
from standalone.contracts.files import BreaksError, breaks, drift, generated, stored, write
from standalone.contracts.history import base_commit, files_at

DATA = Path(__file__).parent.parent / "data"
EVENT = "generated/appointment.scheduled.v1.json"


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A copy of what is checked in, to be spoilt."""
    for folder in ("generated", "examples"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    return tmp_path


def edit(root: Path, path: str, **fields: Any) -> None:
    """Make the checked-in schema promise more than the models do: as if the models had lost it since."""
    schema = json.loads((root / path).read_text())
    schema["properties"] |= fields
    (root / path).write_bytes(files.dumped(schema))


def test_what_is_checked_in_is_what_the_models_say() -> None:
    assert list(drift(stored(ROOT))) == []


def test_generating_twice_gives_the_same_bytes() -> None:
    assert generated() == generated()


def test_drift_is_seen_in_a_changed_a_missing_and_a_left_over_file(copied: Path) -> None:
    edit(copied, EVENT, title={"type": "string"})
    (copied / "generated/envelope.json").unlink()
    (copied / "generated/patient.renamed.v1.json").write_text("{}")
    seen = {each.partition(":")[0] for each in drift(stored(copied))}
    assert seen == {EVENT, "generated/envelope.json", "generated/patient.renamed.v1.json"}


def test_a_missing_example_is_drift_and_is_written_again_under_the_next_number(copied: Path) -> None:
    lost = copied / "examples/heartbeat.v1/1.json"
    content = json.loads(lost.read_text())
    lost.write_bytes(files.dumped({**content, "key": "of an older model"}))
    assert [each.partition(":")[0] for each in drift(stored(copied))] == ["examples/heartbeat.v1/2.json"]
    assert write(copied) == ["examples/heartbeat.v1/2.json"]
    assert json.loads(lost.read_text())["key"] == "of an older model"


def test_write_refuses_a_break_and_leaves_every_file_as_it_was(copied: Path) -> None:
    edit(copied, EVENT, room={"type": "string"})
    (copied / "generated/heartbeat.v1.json").unlink()
    before = stored(copied)
    with pytest.raises(BreaksError, match=r"appointment\.scheduled\.v1\.json: room: is gone; this needs a new major"):
        write(copied)
    assert stored(copied) == before


def test_write_takes_an_optional_field_that_came(copied: Path) -> None:
    schema = json.loads((copied / EVENT).read_text())
    del schema["properties"]["patient_told_at"]
    (copied / EVENT).write_bytes(files.dumped(schema))
    assert write(copied) == [EVENT]
    assert list(drift(stored(copied))) == []


def test_a_removed_event_and_a_touched_example_are_breaks(copied: Path) -> None:
    old = stored(copied)
    new = {path: content for path, content in old.items() if path != EVENT} | {"examples/heartbeat.v1/1.json": b"{}"}
    assert list(breaks(old, new)) == [
        "examples/heartbeat.v1/1.json: was changed; golden examples are kept for ever",
        f"{EVENT}: is gone; this needs a new major version",
    ]


def test_what_was_committed_is_found_again_even_if_the_files_were_overwritten(copied: Path) -> None:
    edit(copied, EVENT, room={"type": "string"})
    for command in (
        ["init", "-q"], ["add", "."],
        ["-c", "user.name=Test", "-c", "user.email=test@example.org", "commit", "-q", "-m", "Contracts"],
    ):  # fmt: skip
        subprocess.run(["git", "-C", copied, *command], check=True)
    (copied / EVENT).write_bytes(generated()[EVENT])
    commit = base_commit(copied)
    assert commit is not None
    assert list(breaks(files_at(copied, commit), stored(copied))) == [
        f"{EVENT}: room: is gone; this needs a new major version"
    ]


def test_without_a_history_there_is_no_base(tmp_path: Path) -> None:
    assert base_commit(tmp_path) is None


def test_check_is_green_here_and_refuses_a_commit_it_does_not_know() -> None:
    assert CliRunner().invoke(app, ["check"]).exit_code == 0
    assert CliRunner().invoke(app, ["check", "--against", "no-such-commit"]).exit_code == 2


def test_the_asyncapi_document_is_valid_by_the_official_schema() -> None:
    official = json.loads((DATA / "asyncapi-3.0.0.json").read_text())
    validator = jsonschema.Draft7Validator(official)
    assert [error.message[:300] for error in validator.iter_errors(asyncapi())] == []
    broken = asyncapi()
    broken["channels"]["intake.events.v1"]["bindings"]["kafka"]["partitions"] = "many"
    assert list(validator.iter_errors(broken))


def test_every_reference_of_the_asyncapi_document_leads_somewhere() -> None:
    document = yaml.safe_load((ROOT / "generated/asyncapi.yaml").read_text())
    for reference in _references(document):
        file, _, pointer = reference.partition("#")
        place = json.loads((ROOT / "generated" / file).read_text()) if file else document
        for step in pointer.strip("/").split("/") if pointer else ():
            place = place[step]
        assert place


def test_the_asyncapi_document_names_every_topic_with_its_layout_and_every_reader_and_writer() -> None:
    document = asyncapi()
    assert document["channels"].keys() == {*ALL_TOPICS, SUBSCRIPTION.name}
    used = {(each["action"], each["channel"]["$ref"].rpartition("/")[2]) for each in document["operations"].values()}
    for name, topic in ALL_TOPICS.items():
        channel = document["channels"][name]
        assert channel["bindings"]["kafka"]["partitions"] == topic.partitions
        assert channel["x-owner"] == topic.owner
        assert (("receive", name) in used) == bool(topic.groups)
        assert ("send", name) in used
    assert {wire for each in document["channels"].values() for wire in each["messages"]} == {
        each.wire for each in EVENT_TYPES.values()
    }


def _references(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
        return own + [each for value in node.values() for each in _references(value)]
    return [each for value in node for each in _references(value)] if isinstance(node, list) else []
