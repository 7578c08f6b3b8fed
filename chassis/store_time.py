"""Time in the store: one column type, and the database's own clock. Both keep milliseconds, on both databases."""

from datetime import UTC, datetime
from typing import Any, cast

from sqlalchemy import Dialect, Float, String, literal
from sqlalchemy import cast as sql_cast
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import DateTime, TypeDecorator, TypeEngine


class UtcDateTime(TypeDecorator[datetime]):
    """Aware in, UTC out; anything below a millisecond is cut off. ``ValueError`` for a datetime without a zone.

    SQLite has no time: text of fixed width, which sorts and compares as time does, also with ``database_now``.
    """

    impl = DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(String(23) if dialect.name == "sqlite" else DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a moment needs a time zone")
        moment = value.astimezone(UTC)
        moment = moment.replace(microsecond=moment.microsecond // 1000 * 1000)
        if dialect.name == "sqlite":
            return moment.replace(tzinfo=None).isoformat(" ", "milliseconds")
        return moment

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if isinstance(value, str):
            return datetime.fromisoformat(value).replace(tzinfo=UTC)
        return cast(datetime, value).astimezone(UTC)


class _DatabaseNow(FunctionElement[datetime]):
    name = "database_now"
    type = UtcDateTime()
    inherit_cache = True


def database_now(plus_seconds: float | ColumnElement[Any] = 0.0) -> ColumnElement[datetime]:
    """The database's clock while the statement runs, plus (or minus) seconds: for leases, back-off and freshness only.

    It moves inside a transaction. Civil time never comes from here.
    """
    seconds = literal(float(plus_seconds), Float()) if isinstance(plus_seconds, int | float) else plus_seconds
    return _DatabaseNow(sql_cast(seconds, Float(53)))


@compiles(_DatabaseNow, "sqlite")
def _on_sqlite(element: _DatabaseNow, compiler: SQLCompiler, **kw: Any) -> str:
    seconds = compiler.process(element.clauses, **kw)
    return f"strftime('%Y-%m-%d %H:%M:%f', 'now', {seconds} || ' seconds')"


@compiles(_DatabaseNow, "postgresql")
def _on_postgresql(element: _DatabaseNow, compiler: SQLCompiler, **kw: Any) -> str:
    seconds = compiler.process(element.clauses, **kw)
    return f"date_trunc('milliseconds', clock_timestamp() + make_interval(secs => {seconds}))"
