"""How to reach the relay. Nothing here is looked at before the first mail, except the CA file."""

import ipaddress
import ssl
from enum import StrEnum
from pathlib import Path
from typing import Self

from pydantic import BaseModel, Field, SecretStr, model_validator


class Tls(StrEnum):
    """How the line is encrypted; a certificate is always verified."""

    NONE = "none"
    STARTTLS = "starttls"
    IMPLICIT = "implicit"


class SmtpSettings(BaseModel):
    """The relay, and the bounds of one conversation with it. All times are seconds."""

    host: str
    port: int = 587
    tls: Tls = Tls.STARTTLS
    username: str | None = None
    password: SecretStr | None = None
    ca_file: Path | None = None  # trusted beside the system's authorities
    ehlo_name: str | None = None  # this machine's full name unless given; some relays insist on a public one
    connections: int = Field(4, ge=1)
    recycle_after_mails: int = Field(200, ge=1)
    recycle_after_seconds: float = Field(240.0, gt=0)
    connect_seconds: float = Field(30.0, gt=0)  # from the first packet to the end of AUTH
    # Per command, and for the whole body: RFC 5321 would wait five minutes, but the guard's look at the truth grows
    # old meanwhile, and giving up before the dot costs nothing.
    command_seconds: float = Field(60.0, gt=0)
    # RFC 5321, 4.5.3.2.6: at least ten minutes, for giving up here leaves a mail of which nobody knows.
    dot_seconds: float = Field(600.0, gt=0)

    @model_validator(mode="after")
    def _no_password_in_the_clear(self) -> Self:
        if (self.username is None) != (self.password is None):
            raise ValueError("username and password go together")
        if self.password is not None and self.tls is Tls.NONE and not _is_loopback(self.host):
            raise ValueError("a password needs tls=starttls or tls=implicit unless the relay is on this machine")
        return self

    @property
    def longest_send_seconds(self) -> float:
        """The longest that one ``send`` can take, a free retry included: a lease has to outlast it."""
        return self.connect_seconds + 6 * self.command_seconds + self.dot_seconds

    def tls_context(self) -> ssl.SSLContext | None:
        """One verified context for all connections: building one reads all authorities, some 20 ms each time."""
        if self.tls is Tls.NONE:
            return None
        context = ssl.create_default_context()
        if self.ca_file is not None:
            context.load_verify_locations(cafile=self.ca_file)
        return context


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
