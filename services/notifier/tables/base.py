"""What all tables share."""

from sqlalchemy import Index, MetaData, String, text

metadata = MetaData()

FALSE = text("false")
ID = String(36)


def partial(name: str, *columns: str, where: str) -> Index:
    """An index of the rows for which ``where`` holds, on either store."""
    return Index(name, *columns, postgresql_where=text(where), sqlite_where=text(where))
