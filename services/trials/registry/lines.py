"""Lines of an eligibility text: how deep each stands, its bullet or number, whether it is a heading. Nothing is lost:
headings, markers and texts, put together again without their white space, are the text without its white space.

Texts come in Markdown: ``\\>`` stands for ``>``, and an escaped ``\\*`` is no bullet.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from schemas.criteria import Kind
from services.trials.registry.headings import cut_at_headings, read_heading

_ESCAPED = re.compile(r"\\([!-/:-@\[-`{-~])")
_GLYPHS = "•●▪■◦‣∙·⁃"
_GLUED = re.compile(rf"(?=[{_GLYPHS[:-3]}])")
"""Bullets that mean nothing else, so that one inside a line begins the next."""

_MARKER = re.compile(
    rf"(?P<glyph>[{_GLYPHS}]|[*–—-](?=\s|[^\W\d_]|$)|o(?=\s))?\s*"
    r"(?P<number>\(?(?:\d{1,3}|[a-z]|[ivx]{2,5})\)(?=\s|[^\W\d_]|$)|\d{1,3}\.(?=\s|[^\W\d_]|$)|(?:[a-z]|[ivx]{2,5})\.(?=\s|$))?\s*"
)


@dataclass(frozen=True, slots=True)
class TextLine:
    """``indent`` in columns; ``after_blank``: an empty line stands before it. Text and marker with single spaces."""

    indent: int
    marker: str
    text: str
    after_blank: bool
    heading: Kind | None = None


def unescaped(text: str) -> str:
    """Markdown's backslashes before punctuation, gone."""
    return _ESCAPED.sub(r"\1", text)


def read_lines(text: str) -> Iterator[TextLine]:
    """All lines that hold something, in their order."""
    blank = False
    for raw in text.splitlines():
        wide = raw.expandtabs(4)
        indent = len(wide) - len(wide.lstrip())
        parts = [part for part in _parts(" ".join(raw.split())) if part] if indent < len(wide) else []
        for index, part in enumerate(parts):
            yield from _read_part(part, 0 if index else indent, blank and not index)
        blank = not parts


def style(marker: str) -> str:
    """What kind of marker it is: numbers are of one kind, letters of another, each sign its own."""
    first = marker.lstrip("(")[:1]
    return "1" if first.isdigit() else "a" if first.isalpha() else first


def _parts(line: str) -> Iterator[str]:
    """A line, broken where a bullet or a heading was glued to its end."""
    for piece in _GLUED.split(line):
        yield from (part.strip() for part in cut_at_headings(piece))


def _read_part(part: str, indent: int, after_blank: bool) -> Iterator[TextLine]:
    found = _MARKER.match(part)
    end = found.end() if found else 0
    marker, text = part[:end].strip(), unescaped(part[end:])
    heading = read_heading(text, bullet=bool(marker))
    if heading is None:
        yield TextLine(indent, marker, text, after_blank)
        return
    yield TextLine(indent, marker, heading.text, after_blank, heading.kind)
    if heading.rest:
        yield from _rest(heading.rest, indent)


def _rest(rest: str, indent: int) -> Iterator[TextLine]:
    found = _MARKER.match(rest)
    end = found.end() if found else 0
    yield TextLine(indent, rest[:end].strip(), rest[end:], False)
