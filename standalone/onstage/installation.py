"""The installation as its neighbours see it: intake over HTTP, and the mail catcher's own interface."""

import json
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx2

from chassis.secret_files import secrets_folder
from standalone.demo.posts import Posts
from standalone.demo.story import CAST, CEDARS, KAISER, Happening
from standalone.waiting import until

KEYS = {CEDARS: "key_cedars", KAISER: "key_kaiser"}
"""Files that hold the key of each program's front desk."""
ANSWERED_WITHIN = 90.0
"""Seconds in which a service that was killed is there again."""


class NotPlayedError(RuntimeError):
    """The story can't go on; the text says why."""


@dataclass(frozen=True, slots=True)
class Installation:
    """``intake`` and ``mailpit`` are base URLs."""

    http: httpx2.AsyncClient
    intake: str
    mailpit: str
    posts: Posts

    async def post(self, happenings: Sequence[Happening]) -> None:
        """Each program's in one batch, again and again until intake answers. Raises ``NotPlayedError``."""
        for program, key_file in KEYS.items():
            events = [self.posts.event(each) for each in happenings if CAST[each.person].program == program]
            if events:
                await self._post(events, (secrets_folder() / key_file).read_text("utf-8").strip())

    async def _post(self, events: Sequence[Mapping[str, Any]], key: str) -> None:
        headers = {"authorization": f"Bearer {key}", "content-type": "application/cloudevents-batch+json"}
        body = json.dumps(events)
        answer = await _answered(lambda: self.http.post(f"{self.intake}/v1/events", content=body, headers=headers))
        if answer.status_code != httpx2.codes.ACCEPTED:
            raise NotPlayedError(f"intake answered {answer.status_code}: {answer.text}")

    async def mails(self, run: str) -> Counter[str]:
        """How many each person of this run was sent. Raises ``NotPlayedError`` when one came twice."""
        address = f"{self.mailpit}/api/v1/messages"
        answer = await _answered(lambda: self.http.get(address, params={"limit": "10000"}))
        ours = [(each["MessageID"], to) for each in answer.json()["messages"] if (to := _person(each, run))]
        if len({message_id for message_id, _ in ours}) < len(ours):
            raise NotPlayedError("the mail catcher has a mail twice")
        return Counter(to for _, to in ours)


async def _answered(ask: Callable[[], Awaitable[httpx2.Response]]) -> httpx2.Response:
    """Asked again while nobody answers, or the store is away. Raises ``NotPlayedError``."""
    answers: list[httpx2.Response] = []

    async def answered() -> bool:
        try:
            answers.append(await ask())
        except httpx2.TransportError:
            return False
        return answers[-1].status_code != httpx2.codes.SERVICE_UNAVAILABLE

    if not await until(answered, ANSWERED_WITHIN):
        raise NotPlayedError("a service doesn't answer")
    return answers[-1]


def _person(mail: Mapping[str, Any], run: str) -> str | None:
    to: str = mail["To"][0]["Address"]
    return to.partition(".")[0] if to.endswith(f".{run}@example.org") else None
