"""Hands mails to the relay: a pool of connections, and one verdict for each attempt.

aiosmtplib connects, encrypts and authenticates; the transaction is our own, because it is many times faster and knows
what an exception doesn't tell: whether the mail may have been sent. Read ``pool``, then ``transaction``.
"""

from .pool import Connection, SmtpPool
from .receipts import Phase, Receipt, SmtpUnavailable, Verdict
from .settings import SmtpSettings, Tls

__all__ = ["Connection", "Phase", "Receipt", "SmtpPool", "SmtpSettings", "SmtpUnavailable", "Tls", "Verdict"]
