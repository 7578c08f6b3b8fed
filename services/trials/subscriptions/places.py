"""Where a webhook may go: by HTTPS to addresses of the public internet, and nowhere into our own network.

A name is looked up before each try, every address it has is checked, and the connection goes to the one that was
checked: a name that means something else a moment later doesn't help.
"""

import asyncio
import socket
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Literal
from urllib.parse import SplitResult, urlsplit

LONGEST_URL = 2000
Refusal = Literal["bad_url", "https_needed", "private_address", "no_such_host"]

WORDS: dict[Refusal, str] = {
    "bad_url": "must be a URL with a host, without user, password or fragment",
    "https_needed": "must begin with https://",
    "private_address": "must be an address of the public internet",
    "no_such_host": "must name a host that can be found",
}


class PlaceRefused(Exception):  # noqa: N818 - an answer to who asked
    """A webhook must not go there."""

    def __init__(self, why: Refusal) -> None:
        super().__init__(WORDS[why])
        self.why = why


@dataclass(frozen=True, slots=True)
class Places:
    """``private``: addresses of private networks are allowed. ``loopback``: this machine is, without TLS, too."""

    private: bool = False
    loopback: bool = False

    def check(self, url: str) -> SplitResult:
        """What can be said without looking up the name. Raises ``PlaceRefused``."""
        parts = _parts(url)
        address = _literal(parts.hostname or "")
        local = self.loopback and (parts.hostname == "localhost" or (address is not None and address.is_loopback))
        if parts.scheme != "https" and not (local and parts.scheme == "http"):
            raise PlaceRefused("https_needed")
        if address is not None and not self._allows(address):
            raise PlaceRefused("private_address")
        return parts

    async def find(self, url: str) -> str:
        """The address to connect to; all that the name has are allowed. Raises ``PlaceRefused``."""
        parts = self.check(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        try:
            loop = asyncio.get_running_loop()
            found = await loop.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            raise PlaceRefused("no_such_host") from None
        addresses = [str(each[4][0]).partition("%")[0] for each in found]
        if not all(self._allows(ip_address(each)) for each in addresses):
            raise PlaceRefused("private_address")
        return addresses[0]

    def _allows(self, address: IPv4Address | IPv6Address) -> bool:
        inner = address.ipv4_mapped if isinstance(address, IPv6Address) and address.ipv4_mapped else address
        if inner.is_loopback:
            return self.loopback
        if inner.is_multicast or inner.is_unspecified or inner.is_link_local:
            return False
        return inner.is_global or (self.private and inner.is_private)


def _parts(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        known = parts.port is None or parts.port > 0
    except ValueError:
        raise PlaceRefused("bad_url") from None
    odd = not url.isascii() or not url.isprintable() or " " in url or len(url) > LONGEST_URL
    if odd or not known or not parts.hostname or "@" in parts.netloc or parts.fragment:
        raise PlaceRefused("bad_url")
    return parts


def _literal(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None
