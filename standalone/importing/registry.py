"""Records straight from a registry's API, page by page; where it stopped is kept in a file, to go on from there."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx2

from services.trials.registry.api import Pace, RegistryError, fetch_pages
from services.trials.registry.records import Page
from standalone.commands.errors import AWAY, WRONG, Failure
from standalone.importing.reading import Record, needed


@dataclass(frozen=True, slots=True)
class Registry:
    """``query`` is the registry's own, the same when resuming. ``kept``: the file that says where to go on."""

    base_url: str
    query: Mapping[str, str]
    kept: Path
    pace: Pace

    def pages(self) -> Iterator[list[Record]]:
        """Each page; once the next is asked for, the one before counts as stored. ``Failure`` says how to go on."""
        token = self._token()
        number = 0
        with asyncio.Runner() as runner:
            http = httpx2.AsyncClient(follow_redirects=False)
            pages = fetch_pages(http, self.base_url, query=self.query, token=token, pace=self.pace)
            try:
                while (page := runner.run(_next(pages))) is not None:
                    yield [Record(f"record {at}", needed(each)) for at, each in enumerate(page.studies, number + 1)]
                    number += len(page.studies)
                    self._keep(page.next_token)
            except RegistryError as error:
                raise Failure(f"{error}.\nThe same command goes on where it stopped.", AWAY) from None
            finally:
                runner.run(http.aclose())

    def _token(self) -> str | None:
        if not self.kept.exists():
            return None
        try:
            kept = json.loads(self.kept.read_text("utf-8"))
            asked, token = (kept["api"], kept["query"]), str(kept["token"])
        except (OSError, ValueError, KeyError, TypeError):
            raise Failure(f"{self.kept} doesn't say where to go on: delete it to begin anew.", WRONG) from None
        if asked != (self.base_url, dict(self.query)):
            raise Failure(f"{self.kept} is of another import: delete it, or name another file with --resume.", WRONG)
        return token

    def _keep(self, token: str | None) -> None:
        if token is None:
            self.kept.unlink(missing_ok=True)
            return
        partial = self.kept.with_suffix(".partial")
        partial.write_text(json.dumps({"api": self.base_url, "query": dict(self.query), "token": token}), "utf-8")
        partial.replace(self.kept)


async def _next(pages: AsyncIterator[tuple[Page, str | None]]) -> Page | None:
    found = await anext(pages, None)
    return None if found is None else found[0]
