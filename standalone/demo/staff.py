"""What staff would ask the services over HTTP: why of one delivery, and the worklist."""

from typing import Any

import httpx2

from standalone.demo.ledger import Entry
from standalone.demo.posts import Posts
from standalone.demo.story import CEDARS, KAISER
from standalone.system import System


class AwayError(Exception):
    """A service gave no useful answer; the text says which and how."""


async def why(system: System, entry: Entry) -> list[str]:
    """The notifier's own sentences about one delivery."""
    try:
        found = await _get(system, entry.program, f"{system.notifier_url}/v1/deliveries/{entry.delivery_id}/why")
    except AwayError as away:
        return [str(away)]
    sentences: list[str] = found["text"]
    return sentences


async def worklist(system: System, posts: Posts) -> list[str]:
    """Everybody's open items as intake's staff see them, oldest first."""
    lines = []
    try:
        for program in (CEDARS, KAISER):
            found = await _get(system, program, f"{system.intake_url}/v1/worklist")
            lines += [_line(item, posts) for item in found["items"]]
    except AwayError as away:
        return [str(away)]
    return lines


def _line(item: dict[str, Any], posts: Posts) -> str:
    person = posts.person_of(item["patient_id"] or "") or "Somebody"
    return " ".join(filter(None, (f"{person}: {item['what']}", item["todo"])))


async def _get(system: System, program: str, url: str) -> dict[str, Any]:
    headers = {"authorization": f"Bearer {system.staff_key(program)}"}
    service = "notifier" if url.startswith(system.notifier_url) else "intake"
    try:
        async with httpx2.AsyncClient(timeout=5.0) as http:
            answer = await http.get(url, headers=headers)
    except httpx2.TransportError:
        raise AwayError(f"The {service} doesn't answer.") from None
    if answer.status_code != 200:
        raise AwayError(f"The {service} answered {answer.status_code}.")
    found: dict[str, Any] = answer.json()
    return found
