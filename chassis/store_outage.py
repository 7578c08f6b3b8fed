"""Which errors say that the store is away, as opposed to: something is wrong with this record.

Wrong either way is costly: an outage taken for a bad record pours a topic into the dead letters, a bad record taken
for an outage holds its partition for ever.
"""

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

# SQLSTATE classes and codes, PostgreSQL manual, appendix A: connection, authorisation (a password being rotated),
# rolled back for another's sake (deadlock), resources, operator (restart, starting up), system; then: no such
# database, a lock not had in time, idle too long in a transaction, a standby which takes no writes.
SQLSTATES = ("08", "28", "40", "53", "57P", "58", "3D000", "55P03", "25P03", "25006")

SQL_LOGIC_ERROR = 1
"""SQLite's catch-all for "no such table" and the like, also an ``OperationalError``: waiting mends nothing."""


def is_outage(error: BaseException) -> bool:
    """Whether the store is away for the moment, so that the same work should be tried again for ever."""
    if isinstance(error, OSError | TimeoutError | PoolTimeoutError):
        return True
    if not isinstance(error, DBAPIError):
        return _is_outage_state(error)
    if error.connection_invalidated or _is_outage_state(error.orig):
        return True
    return isinstance(error, OperationalError | InterfaceError) and not _is_about_the_statement(error.orig)


def _is_outage_state(error: BaseException | None) -> bool:
    """By SQLSTATE: asyncpg's own errors while connecting, and those inside SQLAlchemy's, which keeps them as plain."""
    state = getattr(error, "sqlstate", None)
    if isinstance(state, str) and state.startswith(SQLSTATES):
        return True
    # A migration changed a table under a prepared statement: SQLAlchemy has dropped its cache, the next try works.
    return type(getattr(error, "__cause__", None)).__name__ == "InvalidCachedStatementError"


def _is_about_the_statement(error: BaseException | None) -> bool:
    """SQLite's logic errors, and asyncpg's refusal of an argument, which is a ``ValueError`` beside its own class."""
    if getattr(error, "sqlite_errorcode", None) == SQL_LOGIC_ERROR:
        return True
    return isinstance(error, ValueError) or isinstance(getattr(error, "__cause__", None), ValueError)
