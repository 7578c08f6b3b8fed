"""Splits an eligibility text into single criteria. No word vanishes: each is in a criterion or in a heading kept apart.

A bullet with all that is nested in it is one criterion: "at least one of the following" means nothing without its list.
A sentence that stands before a list ("Healthy participants:") is a heading which each criterion of the list carries,
unless it says no more than the list's kind ("Excluded is who meets any of the following criteria:").
Paragraphs without bullets are criteria, too; one that ends in a colon goes on in the next.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count, pairwise

from schemas.criteria import Criterion, Kind, Status
from services.trials.registry.headings import kind_of_intro, says_only_kind
from services.trials.registry.lines import TextLine, read_lines, style

LONGEST = 200_000
"""Characters of a text that is still split, and of one criterion; the longest of 88 real texts has 8,400."""

MOST = 1_000
"""Criteria of one trial; the most among 88 real trials are 75."""

_TOO_MANY = f"holds more than {MOST:,} criteria"
_NESTED = 2
"""Columns: lists whose numbers are aligned to the right differ by one."""

_SHORT = 80
_CARRIED = 300
"""Characters of an intro without and with a colon at its end: each criterion of a list repeats it."""

_WORD = re.compile(r"\w")
_WRAPPED = range(60, 101)
"""Lines of such a length may have been broken by a machine in the middle of a sentence."""


class TooMuch(ValueError):  # noqa: N818 - says what the text is
    """The text is longer than ``LONGEST``, or holds more than ``MOST`` criteria."""


@dataclass(frozen=True, slots=True)
class Heading:
    """What is no criterion: "Exclusion Criteria:", a bullet without a word, or (``intro``) what leads to a list."""

    kind: Kind
    marker: str
    text: str
    intro: bool = False


@dataclass(frozen=True, slots=True)
class SplitCriterion:
    """``text`` as it stands, nested lines on lines of their own; ``intro`` is the sentence before its list."""

    kind: Kind
    marker: str
    text: str
    intro: str | None = None

    @property
    def sentence(self) -> str:
        """What a coordinator reads."""
        return self.text if self.intro is None else f"{self.intro} {self.text}"


Piece = Heading | SplitCriterion


@dataclass(slots=True)
class _Block:
    first: TextLine
    parts: list[str] = field(default_factory=list)
    last: TextLine | None = None

    def add(self, line: TextLine, glue: str) -> None:
        self.parts += [glue, f"{line.marker} {line.text}".strip()]
        self.last = line

    @property
    def text(self) -> str:
        return "".join([self.first.text, *self.parts])

    @property
    def open(self) -> bool:
        """It promises more."""
        return (self.last or self.first).text.endswith(":")


def split_eligibility(text: str) -> tuple[Piece, ...]:
    """Headings and criteria in the text's order. ``TooMuch`` for a text that no trial has."""
    if len(text) > LONGEST:
        raise TooMuch(f"is longer than {LONGEST:,} characters")
    return tuple(_pieces(_blocks(text)))


def criteria_of(pieces: Sequence[Piece]) -> tuple[Criterion, ...]:
    """The criteria (i1, i2 … e1, e2 …), each with the sentence before its list: unparsed, so unknown for everybody.

    ``TooMuch`` for more or longer ones than a trial has.
    """
    split = [each for each in pieces if isinstance(each, SplitCriterion)]
    if len(split) > MOST:
        raise TooMuch(_TOO_MANY)
    if any(len(each.sentence) > LONGEST for each in split):
        raise TooMuch(f"holds a criterion of more than {LONGEST:,} characters")
    numbers = {Kind.INCLUSION: count(1), Kind.EXCLUSION: count(1)}
    ids = [f"{each.kind[0]}{next(numbers[each.kind])}" for each in split]
    return tuple(
        Criterion(id=name, kind=each.kind, text=each.sentence, status=Status.UNPARSED)
        for name, each in zip(ids, split, strict=True)
    )


def _blocks(text: str) -> list[_Block]:
    blocks: list[_Block] = []
    for line in read_lines(text):
        block = blocks[-1] if blocks and not blocks[-1].first.heading else None
        glue = None if block is None or line.heading else _glue(block, line)
        if block is None or glue is None:
            blocks.append(_Block(line))
            if len(blocks) > 2 * MOST:  # headings, too
                raise TooMuch(_TOO_MANY)
        else:
            block.add(line, glue)
    return blocks


def _glue(block: _Block, line: TextLine) -> str | None:
    """What joins a line to the block before it; None if it begins one of its own."""
    nested = f"\n{' ' * (line.indent - block.first.indent)}"
    if line.marker:
        return nested if block.first.marker and _is_nested(block, line) else None
    if block.first.marker:
        if line.indent >= block.first.indent + _NESTED:
            return nested if line.after_blank else " "
        return None if line.after_blank or line.text.endswith(":") else " "
    if block.open:
        return " "
    return " " if not line.after_blank and _goes_on(block.last or block.first, line) else None


def _is_nested(block: _Block, line: TextLine) -> bool:
    deeper = line.indent - block.first.indent
    if abs(deeper) >= _NESTED:
        return deeper > 0
    other = style(line.marker) != style(block.first.marker)
    # A list of another style under "one of the following:", though nobody indented it.
    return other and (block.open or (block.last is not None and bool(block.last.marker)))


def _goes_on(before: TextLine, line: TextLine) -> bool:
    return line.text[:1].islower() or (len(before.text) in _WRAPPED and before.text[-1:] not in ".;:!?")


def _pieces(blocks: Sequence[_Block]) -> Iterator[Piece]:
    kind, intro = Kind.INCLUSION, None
    for block, following in pairwise([*blocks, None]):
        if block is None:
            return
        if block.first.heading or not _WORD.search(block.text):
            kind, intro = (block.first.heading, None) if block.first.heading else (kind, intro)
            yield Heading(kind, block.first.marker, block.text)
        elif following is not None and _is_intro(block, following):
            kind, intro = kind_of_intro(block.text, kind), None if says_only_kind(block.text) else block.text
            yield Heading(kind, "", block.text, intro=True)
        else:
            intro = intro if block.first.marker else None
            yield SplitCriterion(kind, block.first.marker, block.text, intro)


def _is_intro(block: _Block, following: _Block) -> bool:
    if block.first.marker or following.first.heading or not following.first.marker:
        return False
    text = block.text
    return len(text) <= (_CARRIED if block.open else _SHORT) and text[-1] not in ".;!?,"
