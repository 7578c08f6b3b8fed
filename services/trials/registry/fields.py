"""Reading one JSON object with care: wrong types are taken where their meaning survives, and named where it doesn't.

Survives: a number as text or text as a number, one value instead of a list, a list of lines instead of a text, null for
what is missing. Every text loses control characters, marks that turn its direction, and contacts.
"""

import math
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from services.trials.registry.contacts import without_contacts

T = TypeVar("T")

_UNSEEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
"""Unicode categories of what nobody can read; line breaks and tabs stay."""

_LISTED = (str, int, float, Mapping)


class FieldError(ValueError):
    """What is wrong with which field; never its value."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")


@dataclass(frozen=True, slots=True)
class Fields:
    """One object of a record, and where it stands. ``warnings`` are shared by all objects of the record."""

    values: Mapping[str, object]
    path: str = ""
    warnings: list[str] = field(default_factory=list)

    def at(self, name: str) -> str:
        """The path of a field, as people write it: ``protocolSection.statusModule``."""
        return f"{self.path}.{name}" if self.path else name

    def section(self, name: str) -> "Fields":
        """The object of that name; an empty one if there is none. ``FieldError`` for anything else."""
        value = self.values.get(name)
        if value is not None and not isinstance(value, Mapping):
            raise FieldError(self.at(name), "isn't an object")
        return Fields(value or {}, self.at(name), self.warnings)

    def sections(self, name: str) -> tuple["Fields", ...]:
        """All objects of a list. ``FieldError`` if one isn't."""
        found = []
        for index, value in enumerate(self._list(name)):
            if not isinstance(value, Mapping):
                raise FieldError(f"{self.at(name)}[{index}]", "isn't an object")
            found.append(Fields(value, f"{self.at(name)}[{index}]", self.warnings))
        return tuple(found)

    def text(self, name: str, longest: int | None = None) -> str | None:
        """None if missing or blank; cut at ``longest`` characters. ``FieldError`` if it isn't text."""
        value = self.values.get(name)
        if isinstance(value, list) and all(isinstance(each, str) for each in value):
            value = "\n".join(value)
        if value is not None and (isinstance(value, bool) or not isinstance(value, (str, int, float))):
            raise FieldError(self.at(name), "isn't text")
        read = "" if value is None else clean(str(value)).strip()
        return (read if longest is None or len(read) <= longest else f"{read[: longest - 1].rstrip()}…") or None

    def texts(self, name: str) -> tuple[str, ...]:
        """All texts of a list. ``FieldError`` if one isn't."""
        items = [Fields({"": each}, f"{self.at(name)}[{index}]") for index, each in enumerate(self._list(name))]
        return tuple(read for each in items if (read := each.text("")) is not None)

    def yes_or_no(self, name: str) -> bool | None:
        """``FieldError`` for anything but a boolean, its word, or Yes and No (as the registry once wrote)."""
        value = self.values.get(name)
        if value is None or isinstance(value, bool):
            return value
        word = {"true": True, "yes": True, "false": False, "no": False}.get(str(value).strip().lower())
        if word is None:
            raise FieldError(self.at(name), "is neither yes nor no")
        return word

    def number(self, name: str, limit: float) -> float | None:
        """Between -limit and limit. ``FieldError`` for anything else."""
        value = self.values.get(name)
        if value is None:
            return None
        try:
            read = math.nan if isinstance(value, bool) else float(value)  # type: ignore[arg-type] # TypeError is caught
        except (TypeError, ValueError, OverflowError):
            read = math.nan
        if not -limit <= read <= limit:
            raise FieldError(self.at(name), f"isn't a number between -{limit:g} and {limit:g}")
        return read

    def or_warn(self, read: Callable[[], T], otherwise: T) -> T:
        """For what a trial can do without: a field that doesn't read becomes a warning and ``otherwise``."""
        try:
            return read()
        except ValueError as error:
            self.warnings.append(str(error))
            return otherwise

    def _list(self, name: str) -> list[object]:
        value = self.values.get(name)
        if value is None:
            return []
        if isinstance(value, list):
            return value
        if isinstance(value, _LISTED) and not isinstance(value, bool):
            return [value]
        raise FieldError(self.at(name), "isn't a list")


def clean(text: str) -> str:
    """NFC, without what nobody can read, and without contacts."""
    if not text.replace("\n", "").isprintable():
        text = "".join(map(_seen, text))
    return without_contacts(unicodedata.normalize("NFC", text))


def _seen(character: str) -> str:
    category = unicodedata.category(character)
    if character in "\n\r\t" or category not in _UNSEEN:
        return character
    return "" if category == "Cf" else " "
