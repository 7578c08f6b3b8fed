"""Who acts in the story, over HTTP as in real life: the front desk posts to intake, coordinators work at trials.

A service may be stopped and started meanwhile: what it didn't answer is asked again, and nothing is done twice.
"""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx2

from standalone.demo.acts import PUBLISHES, SUBSCRIPTION, Act, draft
from standalone.demo.posts import Posts
from standalone.demo.story import CAST, CEDARS, Happening
from standalone.system import System
from standalone.waiting import until

WITHIN = 20.0
"""Seconds in which a service that is started again must answer."""


class StuckError(RuntimeError):
    """The story can't go on; the text says where to look."""


@dataclass(frozen=True, slots=True)
class FrontDesk:
    """Posts what happens to people."""

    system: System
    posts: Posts
    http: httpx2.AsyncClient

    async def post(self, happenings: Sequence[Happening]) -> list[dict[str, Any]]:
        """Events of one person as one batch; what intake answered for each. Raises ``StuckError``."""
        key = self.system.staff_key(CAST[happenings[0].person].program)
        headers = {"authorization": f"Bearer {key}", "content-type": "application/cloudevents-batch+json"}
        body = json.dumps([self.posts.event(each) for each in happenings])
        answer = await _answered(
            lambda: self.http.post(f"{self.system.intake_url}/v1/events", content=body, headers=headers)
        )
        if answer.status_code != 202:
            raise StuckError(f"intake refused an event of the story: {answer.status_code} {answer.text}")
        accepted: list[dict[str, Any]] = answer.json()["events"]
        return accepted


@dataclass(frozen=True, slots=True)
class TrialDesk:
    """Coordinators, each with a key of their own. They see no patient's name or id."""

    system: System
    http: httpx2.AsyncClient

    async def do(self, act: Act) -> None:
        """Raises ``StuckError``. What was done already, when the answer to it was lost, is done."""
        if act.verb == "subscribe":
            await self._subscribe(act)
            return
        path = f"/v1/trials/{act.trial}"
        if act.verb == "publish":
            await self._ask(act, "PUT", f"{path}/draft", draft(act.trial))
        if not _is_done(act, await self._ask(act, "GET", path)):
            await self._ask(act, "POST", f"{path}/{act.verb}")

    async def _subscribe(self, act: Act) -> None:
        if not (await self._ask(act, "GET", "/v1/subscriptions"))["subscriptions"]:
            await self._ask(act, "POST", "/v1/subscriptions", SUBSCRIPTION)

    async def _ask(self, act: Act, method: str, path: str, body: Any = None) -> Any:
        second = act.person != PUBLISHES
        key = self.system.second_key(CEDARS) if second else self.system.staff_key(CEDARS)
        headers = {"authorization": f"Bearer {key}"}
        answer = await _answered(
            lambda: self.http.request(method, f"{self.system.trials_url}{path}", json=body, headers=headers)
        )
        if not answer.is_success:
            raise StuckError(f"trials answered {answer.status_code} to {method} {path}: {answer.text}")
        return answer.json()


def _is_done(act: Act, trial: Mapping[str, Any]) -> bool:
    if act.verb == "release":
        return bool(trial["released"])
    return trial["published_version"] is not None and not trial["unpublished_changes"]


async def _answered(ask: Callable[[], Awaitable[httpx2.Response]]) -> httpx2.Response:
    answers: list[httpx2.Response] = []

    async def answered() -> bool:
        try:
            answers.append(await ask())
        except httpx2.TransportError:  # it is being started again: the same once more
            return False
        return True

    if not await until(answered, WITHIN):
        raise StuckError("a service doesn't answer")
    return answers[0]
