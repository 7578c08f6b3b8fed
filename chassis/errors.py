"""Errors, split by what the caller must do.

::

    ChassisError
    ├── Permanent      this record can never work: dead letter with the reason
    ├── Transient      may work soon: again with back-off, then dead letter
    └── Unavailable    store or broker is away: put back, try for ever, lose nothing
"""


class ChassisError(Exception):
    """Base. ``reason`` is a short code from a fixed set; no error carries a protected value."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Permanent(ChassisError):  # noqa: N818 - named by what the caller does
    """The record can never be handled as it is."""


class Transient(ChassisError):  # noqa: N818 - named by what the caller does
    """The same record may be handled in a moment."""


class Unavailable(ChassisError):  # noqa: N818 - named by what the caller does
    """A store or broker isn't there; nothing is wrong with the record."""
