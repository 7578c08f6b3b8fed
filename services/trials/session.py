"""Who is signed in on the coordinators' page: a sealed cookie, good for a working day and nowhere but here.

It proves that the key was shown once; what the key may do is looked up anew each time, so a key that is taken away is
signed out at once. ``SameSite=Strict`` and a look at where a request comes from keep other pages from using it.
"""

from datetime import datetime, timedelta
from urllib.parse import urlsplit

from fastapi import Request, Response

from chassis.api_keys import ApiKeys, Caller
from chassis.clock import CivilClock
from chassis.links import subject, token
from chassis.problems import Problem
from chassis.sealing import Keyring

COOKIE = "trials_session"
LASTS = timedelta(hours=8)
SIGN_IN = "/trials/sign-in"

_PURPOSE = "coordinators-session"


class Sessions:
    """``role``: what a key must have; ``secure``: the page is served over TLS, as anywhere but on one's own machine."""

    def __init__(self, master: Keyring, clock: CivilClock, role: str, *, secure: bool) -> None:
        self._master, self._clock, self._role, self._secure = master, clock, role, secure

    def begin(self, request: Request, response: Response, key: str) -> bool:
        """Whether the key has the role; then the response carries the cookie."""
        keys: ApiKeys = request.app.state.api_keys
        caller = keys.caller(key)
        if caller is None or self._role not in caller.roles:
            return False
        until = self._clock.now() + LASTS
        text = token(self._master, _PURPOSE, f"{until.isoformat()} {caller.key_id}".encode())
        response.set_cookie(
            COOKIE, text, max_age=int(LASTS.total_seconds()), path="/trials", secure=self._secure, httponly=True,
            samesite="strict",
        )  # fmt: skip
        return True

    def end(self, response: Response) -> None:
        response.delete_cookie(COOKIE, path="/trials", secure=self._secure, httponly=True, samesite="strict")

    def caller(self, request: Request) -> Caller:
        """A dependency. Who isn't signed in is sent to do so."""
        found = self._found(request)
        if found is not None:
            return found
        if "hx-request" in request.headers:
            raise Problem(401, "signed_out", "Sign in again.", headers={"HX-Redirect": SIGN_IN})
        raise Problem(303, "signed_out", "Sign in first.", headers={"Location": SIGN_IN})

    def _found(self, request: Request) -> Caller | None:
        opened = subject(self._master, _PURPOSE, request.cookies.get(COOKIE, ""))
        if opened is None:
            return None
        until, _, key_id = opened.decode().partition(" ")
        if self._clock.now() >= datetime.fromisoformat(until):
            return None
        keys: ApiKeys = request.app.state.api_keys
        caller = keys.known(key_id)
        return caller if caller is not None and self._role in caller.roles else None


def own_page(request: Request) -> None:
    """A dependency: ``Problem`` 403 for a POST that another site's page makes. Browsers say where it comes from."""
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if site is not None:
        ours = site == "same-origin"
    else:
        ours = origin is not None and urlsplit(origin).netloc == request.headers.get("host")
    if not ours:
        raise Problem(403, "other_origin", "Only the page itself may do that.")
