"""``upright trials subscribe|subscriptions|watch|test-event|unsubscribe``: a coordinator's subscriptions to matches."""

import time
import uuid
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from standalone.commands.errors import NO, WRONG, Failure
from standalone.commands.http import KeyFile, content, get, open_client

if TYPE_CHECKING:
    import httpx2

app = typer.Typer(no_args_is_help=True, help="A coordinator's subscriptions to matches.")

LOOK_SECONDS = 2.0
PAGE = 100

Url = Annotated[str | None, typer.Option(envvar="UPRIGHT_TRIALS_URL", help="Where trials are.", show_default=False)]
Id = Annotated[str, typer.Argument(metavar="SUBSCRIPTION_ID", help="As subscriptions shows it.")]


class Channel(StrEnum):
    """How reports come."""

    KAFKA = "kafka"
    WEBHOOK = "webhook"
    SSE = "sse"
    DIGEST = "digest"


class Least(StrEnum):
    """Verdicts, the weaker first."""

    POSSIBLE = "possible"
    ELIGIBLE = "eligible"


@app.command()
def subscribe(
    name: Annotated[str, typer.Argument(help="A name of your own for it.")],
    channel: Annotated[Channel, typer.Option(help="How reports come.")] = Channel.SSE,
    trial: Annotated[list[str] | None, typer.Option(metavar="REGISTRY_ID", help="Only these. Default: all.")] = None,
    program: Annotated[list[str] | None, typer.Option(metavar="CODE", help="Default: all of the key's.")] = None,
    site: Annotated[list[str] | None, typer.Option(metavar="PLACE", help="A city or state. Default: any.")] = None,
    least: Annotated[Least, typer.Option(help="The weakest verdict to hear of.")] = Least.POSSIBLE,
    webhook: Annotated[str | None, typer.Option(metavar="URL", help="With --channel webhook.")] = None,
    to: Annotated[str | None, typer.Option(metavar="ADDRESS", help="With --channel digest.")] = None,
    url: Url = None,
    key_file: KeyFile = None,
) -> None:
    """Hear of matches: those that stand, then each as it is found, changes or is withdrawn.

    A webhook's secret is printed once, here, and never again.
    """
    from standalone.commands import screen

    posted: dict[str, Any] = {
        "name": name, "channel": channel, "trials": trial or [], "programs": program or [], "sites": site or [],
        "least": least, **({"url": webhook} if webhook else {}), **({"to": to} if to else {}),
    }  # fmt: skip
    with open_client(url, key_file, "trials") as client:
        made = _content(client.post("/v1/subscriptions", json=posted))
    for shown in ("subscription_id", "topic", "events", "secret"):
        if shown in made:
            screen.row((shown.replace("_id", ""), made[shown]))


@app.command()
def subscriptions(url: Url = None, key_file: KeyFile = None) -> None:
    """Your subscriptions, those of the key."""
    from standalone.commands import screen

    with open_client(url, key_file, "trials") as client:
        found = get(client, "/v1/subscriptions")["subscriptions"]
    names = ("subscription", "name", "channel", "state", "reports", "trials", "least")
    screen.table(names, (_row(each) for each in found))


def _row(each: dict[str, Any]) -> tuple[object, ...]:
    wanted = each["filter"]
    trials = ", ".join(wanted["registry_ids"]) or "all"
    row = (each["subscription_id"], each["name"], each["channel"], each["state"], each["reports"])
    return (*row, trials, wanted["least"])


@app.command()
def watch(
    subscription: Id,
    from_beginning: Annotated[bool, typer.Option("--from-beginning", help="Not only what comes from now on.")] = False,
    count: Annotated[int | None, typer.Option("-n", min=1, help="End after so many.")] = None,
    url: Url = None,
    key_file: KeyFile = None,
) -> None:
    """Show a subscription's reports as they come, whatever its channel, until Ctrl-C. Nobody is named in them."""
    with open_client(url, key_file, "trials") as client:
        path = f"/v1/subscriptions/{_path(subscription)}"
        after, left = 0 if from_beginning else get(client, path)["reports"], count
        while left is None or left > 0:
            page = get(client, f"{path}/reports?after={after}&limit={min(PAGE, left or PAGE)}")["reports"]
            for each in page:
                _print(each)
                after = each["sequence"]
            left = None if left is None else left - len(page)
            if not page:
                time.sleep(LOOK_SECONDS)


def _print(report: dict[str, Any]) -> None:
    from standalone.commands import screen

    what = report["type"].removeprefix("report.")
    about = report.get("pseudonym") or ", ".join(f"{n} {name}" for name, n in (report.get("summary") or {}).items())
    said = report.get("verdict") or report.get("withdrawn") or ""
    screen.row((report["sequence"], what, report["registry_id"], about, said), "bold")
    for each in report.get("criteria", ()):
        if each["outcome"] == "not-known":
            screen.say(f"? {each['criterion_id']}: {each['text']}", "yellow", indent=4)


@app.command("test-event")
def send_test_event(subscription: Id, url: Url = None, key_file: KeyFile = None) -> None:
    """Send a test event through the subscription's very channel."""
    from standalone.commands import screen

    with open_client(url, key_file, "trials") as client:
        sent = _content(client.post(f"/v1/subscriptions/{_path(subscription)}/test"))
    screen.say(f"Report {sent['sequence']} is a test; it comes as any other.", "green")


@app.command()
def unsubscribe(subscription: Id, url: Url = None, key_file: KeyFile = None) -> None:
    """End it, and forget what it was told. A topic stays until its retention is over."""
    from standalone.commands import screen

    with open_client(url, key_file, "trials") as client:
        answer = client.delete(f"/v1/subscriptions/{_path(subscription)}")
        if not answer.is_success:
            content(answer)
    screen.say("Ended.", "green")


def _content(answer: "httpx2.Response") -> Any:
    """The JSON of what was done. ``Failure`` names the fields that aren't right."""
    if answer.is_success:
        return answer.json()
    if answer.status_code == 422:
        errors = answer.json().get("errors", ())
        raise Failure("\n".join(f"{each['pointer']}: {each['detail']}" for each in errors), NO)
    return content(answer)


def _path(part: str) -> str:
    try:
        return str(uuid.UUID(part))
    except ValueError:
        raise Failure("An id is a UUID, such as 5f0c6a3e-3b1e-4a39-9d4f-1c7be4a6a1d2", WRONG) from None
