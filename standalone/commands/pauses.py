"""``upright pause|resume|pauses``: stop a program's mail, or one kind of it, and let it go on."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from standalone.commands.errors import WRONG, Failure
from standalone.commands.http import KeyFile, content, get, open_client

if TYPE_CHECKING:
    import httpx2

Url = Annotated[
    str | None, typer.Option(envvar="UPRIGHT_NOTIFIER_URL", help="Where the notifier is.", show_default=False)
]
Program = Annotated[str, typer.Option(metavar="CODE", help="The program's public code.")]
Kind = Annotated[str | None, typer.Option(help="One kind of mail: appointment-reminder, ... Default: all of them.")]
Why = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why, without protected data; it is kept.")]


def pause(program: Program, reason: Why, kind: Kind = None, url: Url = None, key_file: KeyFile = None) -> None:
    """Hold a program's mail from now on, safety notices too: staff are asked to phone instead.

    What the mail server is being handed at this moment still goes. The API key needs the role operator.
    """
    from standalone.commands import screen

    with open_client(url, key_file, "notifier") as client:
        answer = _post(client, "/v1/pauses", program, kind, reason)
    said = "Paused." if answer["changed"] else "It was paused before."
    screen.say(f"{said} {_what(answer)}: nothing goes out until upright resume.", "green")


def resume(program: Program, reason: Why, kind: Kind = None, url: Url = None, key_file: KeyFile = None) -> None:
    """End a pause: what was held and is still of use is planned again, the rest is missed."""
    from standalone.commands import screen

    with open_client(url, key_file, "notifier") as client:
        answer = _post(client, "/v1/pauses/end", program, kind, reason)
        left = [each for each in get(client, "/v1/pauses")["pauses"] if _stands(each, program)]
    said = "Resumed." if answer["changed"] else "There was no such pause."
    screen.say(f"{said} {_what(answer)}: {answer['patients']} patients are planned again.", "green")
    for each in left:
        screen.note(f"Still paused: {_what(each)}, by {each['paused_by']}: {each['paused_for']}", "yellow")


def pauses(url: Url = None, key_file: KeyFile = None) -> None:
    """What is paused, and what was: by whom, when and why."""
    from standalone.commands import screen

    with open_client(url, key_file, "notifier") as client:
        found = get(client, "/v1/pauses")["pauses"]
    if not found:
        screen.note("Nothing is paused, nothing ever was.", "green")
        return
    names = ("program", "kind", "paused", "by", "because", "resumed", "by", "because")
    screen.table(names, ([each["program"], each["kind"] or "all", *_acts(each)] for each in found))


def _acts(each: dict[str, Any]) -> list[str]:
    return [each[f"{act}_{what}"] or "" for act in ("paused", "resumed") for what in ("at", "by", "for")]


def _stands(each: dict[str, Any], program: str) -> bool:
    return each["program"] == program and each["resumed_at"] is None


def _post(client: "httpx2.Client", path: str, program: str, kind: str | None, reason: str) -> Any:
    if not reason.strip():
        raise Failure("Say why: --reason TEXT", WRONG)
    return content(client.post(path, json={"program": program, "kind": kind, "reason": reason}))


def _what(answer: dict[str, Any]) -> str:
    return f"{answer['kind'] or 'All mail'} of {answer['program']}"
