"""HTTP to a service under a caller's key, and its failures in words. The key never stands in the arguments."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from standalone.commands.errors import AWAY, NO, WRONG, Failure

if TYPE_CHECKING:
    import httpx2

TIMEOUT_SECONDS = 60.0
KEY = "UPRIGHT_API_KEY"

KeyFile = Annotated[
    Path | None, typer.Option(help=f"A file that holds the API key. Default: {KEY} in the environment.")
]


def read_key(key_file: Path | None) -> str:
    """Raises ``Failure``; it never shows what was read."""
    try:
        key = key_file.read_text("utf-8").strip() if key_file else os.environ.get(KEY, "").strip()
    except (OSError, UnicodeDecodeError):
        raise Failure(f"The key file {key_file} can't be read.", WRONG) from None
    if not key:
        raise Failure(f"An API key is needed: {KEY} in the environment, or --key-file FILE.", WRONG)
    if not key.isascii() or not key.isprintable() or " " in key:
        raise Failure("The API key must be one line: <key id>.<secret>", WRONG)
    return key


@contextmanager
def open_client(url: str | None, key_file: Path | None, service: str) -> "Iterator[httpx2.Client]":
    """A client for the block. ``Failure`` when the service doesn't answer, whatever the block asks of it."""
    import httpx2

    if not url or not url.startswith(("http://", "https://")):
        variable = f"UPRIGHT_{service.upper()}_URL"
        raise Failure(f"Say where {service} is: --url http://HOST:PORT, or {variable} in the environment.", WRONG)
    headers = {"authorization": f"Bearer {read_key(key_file)}"}
    try:
        with httpx2.Client(base_url=url, headers=headers, timeout=TIMEOUT_SECONDS) as client:
            yield client
    except httpx2.InvalidURL:
        raise Failure(f"--url: {url} is not a URL.", WRONG) from None
    except httpx2.TransportError as error:
        raise Failure(f"{service.capitalize()} at {url} doesn't answer. Is it running?", AWAY) from error


def get(client: "httpx2.Client", path: str) -> Any:
    """The JSON at ``path``. ``Failure`` for any other answer."""
    return content(client.get(path))


def content(answer: "httpx2.Response") -> Any:
    """The JSON of an answer with status 200. ``Failure`` for any other."""
    if answer.status_code == 200:
        return answer.json()
    try:
        detail = str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        detail = f"Status {answer.status_code}."
    if answer.status_code in (401, 403):
        raise Failure(f"This key isn't allowed to ask that. {detail}", WRONG)
    raise Failure(detail, AWAY if answer.status_code >= 500 else NO)
