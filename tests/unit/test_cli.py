"""``upright`` at the terminal: quick help, one line and an exit status for what goes wrong, no secrets, no escapes."""

import io
import json
import shutil
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest
from rich.console import Console

from schemas.topics import TOPICS
from standalone.commands import screen
from standalone.letters import GROUPS
from standalone.tailing import describe
from tests.support.cli import Terminal, example, intake_env
from tests.support.cli import terminal as terminal
from tests.support.records import raw

HEAVY = ("sqlalchemy", "faststream", "fastapi", "aiokafka", "httpx2", "services", "chassis")


@pytest.mark.parametrize("command", [[], ["publish"], ["dead-letters"], ["notifier", "arm"], ["programs", "apply"]])
def test_help_is_shown_without_importing_what_the_commands_need(command: list[str]) -> None:
    code = (
        "import sys, standalone.cli\n"
        f"try: standalone.cli.app({[*command, '--help']!r})\n"
        f"except SystemExit: print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.splitlines()[-1] == "[]", said.stdout
    assert "Usage:" in said.stdout


def test_up_and_demo_show_their_own_options(terminal: Terminal) -> None:
    assert "--once" in terminal.run("demo", "--help").out
    assert "--data" in terminal.run("up", "--help").out


@pytest.mark.parametrize(
    ("command", "status", "said"),
    [
        ("nothing", 2, "No such command 'nothing'"),
        ("topics check", 2, "Say where Kafka is: --kafka HOST:PORT, or UPRIGHT_KAFKA__BOOTSTRAP"),
        ("topics check --kafka 127.0.0.1:1", 3, "Kafka doesn't answer."),
        ("tail intake.events.v1 --kafka 127.0.0.1:1", 3, "Kafka doesn't answer."),
        ("publish /nowhere/events.ndjson", 2, "/nowhere/events.ndjson can't be read: No such file"),
        ("publish - --url http://127.0.0.1:1", 2, "An API key is needed: UPRIGHT_API_KEY"),
        ("why", 2, "upright why DELIVERY_ID, or upright why --patient ID"),
        ("why 5f0c6a3e-3b1e-4a39-9d4f-1c7be4a6a1d2", 2, "--url http://HOST:PORT, or UPRIGHT_NOTIFIER_URL"),
        ("dead-letters list", 2, "no settings of a service"),
        ("dead-letters list --group a.b", 2, "There are: intake.outcomes, "),
        ("intake serve", 2, "INTAKE_STORE: Field required"),
        ("notifier arm --tenant cedars --at 2027-03-01T00:00", 2, "needs an offset"),
        ("notifier arm --tenant cedars --at tomorrow", 2, "isn't a time"),
        ("topics rewind notifier.elsewhere --yes", 2, "There are: notifier.intake, "),
        ("topics rewind notifier.intake --to 2027-03-01T00:00", 2, "needs an offset"),
        ("topics rewind notifier.intake --to tomorrow", 2, "isn't a time"),
        ("topics rewind notifier.intake --yes --kafka 127.0.0.1:1", 3, "Kafka doesn't answer."),
        ("doctor", 2, "no settings of a service"),
        ("pause --program k7q2m9 --reason x", 2, "--url http://HOST:PORT, or UPRIGHT_NOTIFIER_URL"),
        ("api-key new --tenant Cedars! --role staff --name x", 2, "tenant: String should match pattern"),
        ("--data /nowhere topics check", 2, "Nothing runs from /nowhere: start upright up --data /nowhere"),
    ],
)
def test_what_goes_wrong_is_said_in_a_line_with_its_exit_status(
    terminal: Terminal, command: str, status: int, said: str
) -> None:
    found = terminal.run(*command.split())
    assert (found.status, said in " ".join(found.err.split())) == (status, True), found
    assert "Traceback" not in found.err


def test_a_service_that_is_away_and_a_bad_setting_are_told_apart_and_no_value_is_shown(
    terminal: Terminal, tmp_path: Path
) -> None:
    away = terminal.run(
        "why", "5f0c6a3e-3b1e-4a39-9d4f-1c7be4a6a1d2", UPRIGHT_NOTIFIER_URL="http://127.0.0.1:1", UPRIGHT_API_KEY="a.b"
    )
    assert (away.status, "Notifier at http://127.0.0.1:1 doesn't answer" in away.err) == (3, True)
    bad = terminal.run("intake", "migrate", **{**intake_env(tmp_path), "INTAKE_STORE__URL": "oracle://me:secret@db/x"})
    assert (bad.status, "INTAKE_STORE__URL: only postgresql" in bad.err) == (2, True)
    assert "secret" not in bad.err
    bare = terminal.run("dead-letters", "list", **intake_env(tmp_path))
    assert (bare.status, "isn't migrated" in bare.err) == (2, True)


def test_a_new_key_is_a_secret_and_the_setting_that_knows_it(terminal: Terminal) -> None:
    said = terminal.run(
        *("api-key", "new", "--tenant", "cedars", "--role", "staff", "--role", "operator"),
        *("--program", "k7q2m9", "--name", "desk"),
    )
    key, setting = said.out.splitlines()
    known = json.loads(setting)
    assert key.startswith("desk.")
    assert (known["id"], known["tenant"], known["programs"], sorted(known["roles"])) == (
        "desk", "cedars", ["k7q2m9"], ["operator", "staff"],
    )  # fmt: skip
    assert key.partition(".")[2] not in setting


def test_programs_are_checked_with_file_line_and_reason(terminal: Terminal, tmp_path: Path) -> None:
    shipped = terminal.run("programs", "check")
    assert (shipped.status, "sends nothing until it has" in shipped.out) == (0, True)
    assert shipped.out.count("sends no mail about trials until it has trials_sender") == 1
    demo = terminal.run("programs", "check", "--demo").out
    assert (demo.count(": complete"), "trials_sender" in demo) == (2, False)
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "program.yaml").write_text("public_code: {value: x, from: hearsay}\n")
    broken = terminal.run("programs", "check", str(tmp_path))
    assert (broken.status, "one/program.yaml:1: " in broken.err) == (1, True)
    assert terminal.run("programs", "check", str(tmp_path / "one")).status == 1
    shutil.copytree(str(files("programs")), tmp_path / "all")
    policy = tmp_path / "all" / "policy.yaml"
    policy.write_text(policy.read_text().replace("[P14D, P3D, P1D]", "[P3D, P14D, P1D]"))
    nonsense = terminal.run("programs", "check", str(tmp_path / "all"))
    assert (nonsense.status, "must go from the earliest to the latest" in nonsense.err) == (1, True)


def test_every_consumer_group_has_an_owner() -> None:
    assert GROUPS.keys() == {group for topic in TOPICS.values() for group in topic.groups}


def test_what_isnt_an_event_of_ours_is_counted_and_not_shown() -> None:
    record = example("worklist.opened")
    assert describe(raw(record)).what == "worklist.opened"
    poison = describe(raw(record, value=b'{"name": "Ana"}', headers=[*record.headers, ("x", b"\x1b[2J")]))
    assert (poison.what, poison.data) == ("unreadable (bad_payload), <15 bytes>", None)
    assert ("x", "<4 bytes>") in poison.headers


@pytest.mark.parametrize("columns", [40, 100, 200])
def test_a_table_keeps_ids_whole_on_any_screen(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    delivery = "b0b92d1d-a25e-4a45-8597-b3865d53c23b"
    words = "Not sent. The visit was cancelled at 10:00:00, before sending."
    said = io.StringIO()
    monkeypatch.setattr(screen, "out", lambda: Console(file=said, force_terminal=True, width=columns, highlight=False))
    screen.table(("in words", "delivery"), [(words, delivery)])
    assert delivery in said.getvalue()
    assert words.split()[-1] in said.getvalue()


def test_nothing_that_is_printed_can_steer_a_terminal() -> None:
    assert screen.clean("a\x1b[31mb\nc\u202ed") == "a�[31mb�c�d"
