"""Reading grade by Flesch and Kincaid: 0.39 × words per sentence + 11.8 × syllables per word − 15.59."""

import re
from functools import cache

import pyphen

_SENTENCE = re.compile(r"[.!?:](?:\s|$)|\n\s*\n|\n•")
_WORD = re.compile(r"[A-Za-z][A-Za-z'’-]*")


def reading_grade(text: str) -> float:
    """The US school grade that reads this English text with ease. A line of a list and a paragraph end a sentence."""
    sentences = [words for part in _SENTENCE.split(text) if (words := _WORD.findall(part))]
    words = [word for sentence in sentences for word in sentence]
    syllables = sum(_syllables(word) for word in words)
    return 0.39 * len(words) / len(sentences) + 11.8 * syllables / len(words) - 15.59


@cache
def _dictionary() -> pyphen.Pyphen:
    return pyphen.Pyphen(lang="en_US", left=1, right=1)


def _syllables(word: str) -> int:
    return len(_dictionary().positions(word)) + 1
