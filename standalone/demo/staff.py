"""What staff would ask the services over HTTP: why of one delivery, the worklist, and whatever else they may see."""

from dataclasses import dataclass
from typing import Any

import httpx2

from standalone.demo.ledger import Entry
from standalone.demo.posts import Posts
from standalone.demo.story import CEDARS, KAISER
from standalone.system import System


class AwayError(Exception):
    """A service gave no useful answer; the text says which and how."""


@dataclass(frozen=True, slots=True)
class Staff:
    """Asks with the key of each program's staff."""

    system: System
    posts: Posts
    http: httpx2.AsyncClient

    async def why(self, entry: Entry) -> list[str]:
        """The notifier's own sentences about one delivery."""
        try:
            found = await self.get(entry.program, f"{self.system.notifier_url}/v1/deliveries/{entry.delivery_id}/why")
        except AwayError as away:
            return [str(away)]
        sentences: list[str] = found["text"]
        return sentences

    async def worklist(self) -> list[str]:
        """Everybody's open items as intake's staff see them, oldest first."""
        lines = []
        try:
            for program in (CEDARS, KAISER):
                found = await self.get(program, f"{self.system.intake_url}/v1/worklist")
                lines += [_line(item, self.posts) for item in found["items"]]
        except AwayError as away:
            return [str(away)]
        return lines

    async def get(self, program: str, url: str) -> dict[str, Any]:
        """The JSON of an answer. Raises ``AwayError``."""
        headers = {"authorization": f"Bearer {self.system.staff_key(program)}"}
        service = self._service(url)
        try:
            answer = await self.http.get(url, headers=headers)
        except httpx2.TransportError:
            raise AwayError(f"The {service} doesn't answer.") from None
        if answer.status_code != 200:
            raise AwayError(f"The {service} answered {answer.status_code}.")
        found: dict[str, Any] = answer.json()
        return found

    def _service(self, url: str) -> str:
        urls = {self.system.notifier_url: "notifier", self.system.trials_url: "trials service"}
        return next((name for base, name in urls.items() if url.startswith(base)), "intake")


def _line(item: dict[str, Any], posts: Posts) -> str:
    person = posts.person_of(item["patient_id"] or "") or "Somebody"
    return " ".join(filter(None, (f"{person}: {item['what']}", item["todo"])))
