"""``upright why`` and ``upright plan``: what goes to a patient, what went, and why."""

from pathlib import Path
from typing import Annotated, Any

import typer

from standalone.commands.errors import NO, WRONG, Failure
from standalone.commands.http import KeyFile, get, open_client
from standalone.running import named_patient

Url = Annotated[
    str | None, typer.Option(envvar="UPRIGHT_NOTIFIER_URL", help="Where the notifier is.", show_default=False)
]
Patient = Annotated[str | None, typer.Option(metavar="ID", help="All of this patient's deliveries.")]


def why(
    delivery: Annotated[str | None, typer.Argument(metavar="DELIVERY_ID")] = None,
    patient: Patient = None,
    url: Url = None,
    key_file: KeyFile = None,
) -> None:
    """Why a mail went out, or didn't: rule, times, what was looked at, what the mail server said."""
    from standalone.commands import screen

    if bool(delivery) == bool(patient):
        raise Failure("Say which: upright why DELIVERY_ID, or upright why --patient ID", WRONG)
    with open_client(url, key_file, "notifier") as client:
        ids = [delivery] if delivery else [each["delivery_id"] for each in _deliveries(client, patient)]
        for number, each in enumerate(ids):
            if number:
                screen.say("")
            _print(get(client, f"/v1/deliveries/{_path(each)}/why"))


def _print(answer: dict[str, Any]) -> None:
    from standalone.commands import screen

    first, *rest = answer["text"]
    screen.say(first, "bold")
    for sentence in rest:
        screen.say(sentence, indent=2)
    screen.say(answer["delivery_id"], "dim", indent=2)


def plan(
    patient: Annotated[str, typer.Option(metavar="ID", help="The patient's id.")],
    url: Url = None,
    key_file: KeyFile = None,
    program_folder: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            exists=True,
            file_okay=False,
            help="What these program files would change; needs the notifier's settings in the environment.",
        ),
    ] = None,
) -> None:
    """A patient's mails, those to come and those that were; times are the patient's own."""
    from standalone.commands import screen

    if program_folder is not None:
        _print_changes(program_folder, patient)
        return
    with open_client(url, key_file, "notifier") as client:
        found = _deliveries(client, patient)
    screen.table(("due", "zone", "mail", "step", "state", "in words", "delivery"), (_row(each) for each in found))


def _print_changes(folder: Path, patient_id: str) -> None:
    from standalone.commands.environment import run
    from standalone.commands.programs import print_difference, read_programs
    from standalone.program_changes import look, takes_demo_values

    new = {code: each.program for code, each in read_programs(folder, demo=takes_demo_values()).items()}
    print_difference(run(look(new, _path(patient_id))))


def _deliveries(client: Any, patient_id: str | None) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = get(client, f"/v1/patients/{_path(patient_id)}/deliveries")["deliveries"]
    if not found:
        raise Failure("There is nothing for this patient in your programs.", NO)
    return found


def _row(delivery: dict[str, Any]) -> tuple[str, ...]:
    due = f"{delivery['due_local']}".replace("T", " ")[:16]
    reason = f"{delivery['state']} ({delivery['reason']})" if delivery["reason"] else delivery["state"]
    step, status = delivery["step"] or "", delivery["status"]
    return due, delivery["zone"], delivery["what"], step, reason, status, delivery["delivery_id"]


def _path(part: str | None) -> str:
    """An id as a step of a path; anything else can't be one."""
    import uuid

    try:
        return str(uuid.UUID(named_patient(part or "")))
    except ValueError:
        raise Failure("An id is a UUID, such as 5f0c6a3e-3b1e-4a39-9d4f-1c7be4a6a1d2", WRONG) from None
