"""Opens a line with aiosmtplib (TLS, EHLO, AUTH), then takes it over.

aiosmtplib is deaf after the hand-over, so it happens only when nothing is left in its buffer, and nothing of it is
used afterwards.
"""

import asyncio
import ssl
from typing import cast

import aiosmtplib

from .receipts import Phase, Receipt, SmtpUnavailable, Verdict
from .replies import enhanced_of
from .settings import SmtpSettings, Tls
from .transfer import Offers
from .wire import Wire


async def open_wire(settings: SmtpSettings, context: ssl.SSLContext | None) -> Wire:
    """A line on which MAIL may be said next. ``SmtpUnavailable`` for whatever the network or the server does."""
    smtp = aiosmtplib.SMTP(
        hostname=settings.host,
        port=settings.port,
        timeout=settings.connect_seconds,
        use_tls=settings.tls is Tls.IMPLICIT,
        start_tls=settings.tls is Tls.STARTTLS,
        tls_context=context,
        local_hostname=settings.ehlo_name,
    )
    phase = Phase.CONNECT
    try:
        async with asyncio.timeout(settings.connect_seconds):
            await smtp.connect()
            await smtp.ehlo()
            phase = Phase.AUTH
            await _authenticate(smtp, settings)
            phase = Phase.CONNECT
            return _take_over(smtp)
    except (OSError, UnicodeError, aiosmtplib.SMTPException) as error:
        smtp.close()
        # Not chained: aiosmtplib's texts quote the server.
        raise _unavailable(phase, error) from None
    except BaseException:
        smtp.close()
        raise


async def _authenticate(smtp: aiosmtplib.SMTP, settings: SmtpSettings) -> None:
    if settings.username is not None and settings.password is not None:
        await smtp.login(settings.username, settings.password.get_secret_value())


def _take_over(smtp: aiosmtplib.SMTP) -> Wire:
    protocol = smtp.protocol
    # aiosmtplib has no public way to ask; a 421 behind the last reply sits here.
    if protocol is None or not smtp.is_connected or protocol._buffer:
        raise ConnectionError
    return Wire(cast(asyncio.Transport, smtp.transport), Offers.read(smtp.esmtp_extensions))


def _unavailable(phase: Phase, error: Exception) -> SmtpUnavailable:
    code: int | None = None
    enhanced: str | None = None
    if isinstance(error, aiosmtplib.SMTPResponseException) and 200 <= error.code < 600:
        code = error.code
        enhanced = enhanced_of(code, error.message.encode("ascii", "replace"))
    return SmtpUnavailable(Receipt(Verdict.UNSENT, phase, code, enhanced), _cause(error))


def _cause(error: Exception) -> str:
    """What an operator needs to know, without the server's words."""
    if isinstance(error, aiosmtplib.SMTPResponseException):
        return f"answered {error.code}"
    cause = error.__cause__ or error
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"the certificate wasn't accepted: {cause.verify_message}"
    return type(cause).__name__
