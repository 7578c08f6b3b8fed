"""Asks a ClinicalTrials.gov server (API v2) for records, page by page, at a gentle pace.

Too many requests, faults of the server, cut answers and silence are tried again, after as long as the server asks for
(in seconds; of a date in ``Retry-After`` nothing is made).
What can't be read ends it with the token to go on from.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus

import httpx2
import stamina

from services.trials.registry.records import Page, read_page

MOST_A_PAGE = 1_000
"""The registry gives no more at a time."""

_AGAIN = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS}


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds, of the machine's clock. The registry publishes no limit; one request a second is what it asks of robots.

    A server that asks for more than ``longest_wait`` isn't waited for. ``largest`` bounds an answer's bytes, unpacked.
    """

    between: float = 1.0
    timeout: float = 120.0
    attempts: int = 6
    first_wait: float = 1.0
    longest_wait: float = 120.0
    largest: int = 256 * 1024 * 1024


class RegistryError(Exception):
    """No answer, or none of use. ``token`` is that of the page which failed, to go on from; None: the first."""

    def __init__(self, reason: str, token: str | None) -> None:
        super().__init__(reason)
        self.token = token


class _Failed(Exception):  # noqa: N818 - one request did, the next may not
    """One request. ``wait``: seconds the server asks for; ``again``: whether another try makes sense."""

    def __init__(self, reason: str, *, again: bool, wait: float | None = None) -> None:
        super().__init__(reason)
        self.again, self.wait = again, wait


async def fetch_pages(
    http: httpx2.AsyncClient,
    base_url: str,
    *,
    query: Mapping[str, str] | None = None,
    token: str | None = None,
    page_size: int = MOST_A_PAGE,
    pace: Pace | None = None,
) -> AsyncIterator[tuple[Page, str | None]]:
    """Pages from ``token`` on, each with the token to save once it is stored; None after the last. ``RegistryError``.

    ``query`` is the registry's own (``query.cond``, ``filter.overallStatus``) and must be the same when resuming.
    """
    pace = pace or Pace()
    asked = {**(query or {}), "pageSize": str(max(1, min(page_size, MOST_A_PAGE)))}
    url, seen = f"{base_url.rstrip('/')}/studies", {token}
    started = 0.0
    while True:
        clock = asyncio.get_running_loop().time
        await asyncio.sleep(max(0.0, started + pace.between - clock()) if started else 0.0)
        started = clock()
        page = await _page(http, url, asked if token is None else {**asked, "pageToken": token}, token, pace)
        if page.next_token is not None and page.next_token in seen:
            raise RegistryError("the registry gave the same token twice", token)
        token = page.next_token
        seen.add(token)
        yield page, token
        if token is None:
            return


async def _page(http: httpx2.AsyncClient, url: str, asked: Mapping[str, str], token: str | None, pace: Pace) -> Page:
    def wait(error: Exception) -> bool | float:
        if not isinstance(error, _Failed) or not error.again:
            return False
        return True if error.wait is None else max(error.wait, pace.between)

    tries = stamina.retry_context(
        on=wait,
        attempts=pace.attempts,
        timeout=None,
        wait_initial=pace.first_wait,
        wait_max=pace.longest_wait,
        wait_jitter=pace.first_wait / 2,
    )
    try:
        async for attempt in tries:
            with attempt:
                return await _ask(http, url, asked, pace)
    except _Failed as error:
        raise RegistryError(f"the registry {error}", token) from None
    raise AssertionError("a retry ends in an answer or an error")


async def _ask(http: httpx2.AsyncClient, url: str, asked: Mapping[str, str], pace: Pace) -> Page:
    try:
        async with (
            asyncio.timeout(pace.timeout),  # the whole answer; the client's own timeouts begin anew with each byte
            http.stream("GET", url, params=dict(asked), timeout=None) as answer,
        ):
            if answer.status_code != HTTPStatus.OK:
                raise _refusal(answer, pace)
            body = await _body(answer, pace.largest)
    except (httpx2.TransportError, httpx2.DecodingError, TimeoutError) as error:
        raise _Failed(f"can't be read: {type(error).__name__}", again=True) from None
    except httpx2.InvalidURL:
        raise _Failed("has no such address", again=False) from None
    try:
        return await asyncio.to_thread(read_page, body)  # a thousand records take seconds
    except ValueError as error:
        raise _Failed(f"answered with what {error}", again=True) from None


def _refusal(answer: httpx2.Response, pace: Pace) -> _Failed:
    again = answer.status_code in _AGAIN or answer.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR
    asked = answer.headers.get("Retry-After", "")
    wait = float(asked) if asked.isascii() and asked.isdigit() else None
    if wait is not None and wait > pace.longest_wait:
        return _Failed(f"answered {answer.status_code} and asks to wait {wait:.0f} s", again=False)
    return _Failed(f"answered {answer.status_code}", again=again, wait=wait)


async def _body(answer: httpx2.Response, largest: int) -> bytes:
    body = bytearray()
    async for chunk in answer.aiter_bytes():
        body += chunk
        if len(body) > largest:
            raise _Failed(f"answered with more than {largest:,} bytes", again=False)
    return bytes(body)
