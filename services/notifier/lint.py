"""The last look at a finished message: nothing protected where anybody can read it.

It reads the bytes as a receiver would, with the standard library's parser, so that it doesn't share a mistake with the
code that wrote them. Headers, URLs and calendar are looked at always, the body at tier 0; record numbers and birth
dates may stand nowhere. ``To`` isn't looked at: the patient chose that address.
"""

import email
import email.message
import html
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from email.header import decode_header, make_header
from functools import lru_cache
from urllib.parse import unquote

_TAG = re.compile(r"<!--.*?-->|<style.*?</style>|<[^>]*>", re.DOTALL | re.IGNORECASE)
_STYLE = re.compile(r"(?<=\s)style=(?:\"[^\"]*\"|'[^']*')", re.IGNORECASE)
_URL = re.compile(r"(?:https?:|mailto:|tel:|cid:|data:|www\.)[^\s\"'<>)]+")
_FOLD = re.compile(r"\r?\n[ \t]")
_GAP = re.compile(r"[\W_]+")
# Looked for in text that `_words` has flattened: lower case, a space before and after every word, no punctuation.
_RECORD_NUMBER = re.compile(
    r" (?:(?:mrn|(?:record|chart) (?:number|num|no|id)) ?(?:[a-z]{1,3} ?)?|(?:record|chart) )\d{3}"
)
_BIRTH_DATE = re.compile(
    r" (?:dob|d o b|date of birth|birth ?date|birth ?day|born(?: on)?)(?: is)?"
    r" (?:\d|(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]* \d)"
)


@dataclass(frozen=True, slots=True, order=True)
class Hit:
    """Where which rule was broken; never the words that broke it."""

    place: str
    rule: str


def lint(content: bytes, tier: int, deny_list: tuple[str, ...]) -> tuple[Hit, ...]:
    """Every hit in the finished message, sorted; an empty tuple when it may be sent."""
    parsed = email.message_from_bytes(content)
    hits = {
        Hit(place, rule)
        for place, text in _places(parsed)
        for rule in _broken(_words(text), deny_list if tier == 0 or not place.startswith("body") else ())
    }
    return tuple(sorted(hits))


def _broken(words: str, deny_list: tuple[str, ...]) -> Iterator[str]:
    if deny_list and _denied(deny_list).search(words):
        yield "deny-list"
    if _RECORD_NUMBER.search(words):
        yield "record-number"
    if _BIRTH_DATE.search(words):
        yield "birth-date"


def _places(parsed: email.message.Message) -> Iterator[tuple[str, str]]:
    for name, value in parsed.items():
        if name.lower() != "to":
            yield f"header:{name.lower()}", str(make_header(decode_header(_FOLD.sub(" ", value))))
    for part in parsed.walk():
        if part.is_multipart():
            continue
        if part is not parsed:
            yield from ((f"header:{name.lower()}", value) for name, value in part.items())
        yield from _in_part(part.get_content_type(), _decoded(part))


def _in_part(content_type: str, text: str) -> Iterator[tuple[str, str]]:
    if content_type == "text/calendar":
        yield "calendar", _FOLD.sub("", text)
        return
    source = html.unescape(text) if content_type == "text/html" else text
    yield from (("url", unquote(url)) for url in _URL.findall(source.lower()))
    if content_type == "text/html":
        yield "body:html", html.unescape(_TAG.sub(" ", text))
        yield "body:html", _STYLE.sub("", source)
    else:
        yield "body:text", source


def _decoded(part: email.message.Message) -> str:
    payload = part.get_payload(decode=True)
    assert isinstance(payload, bytes)  # noqa: S101  # what a part that isn't a multipart always gives
    return payload.decode(part.get_content_charset() or "utf-8", "replace")


def _words(text: str) -> str:
    """The text as words: compatibility forms and invisible characters gone, lower case, a space around each."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
        for each in (each for each in set(text) if unicodedata.category(each) == "Cf"):
            text = text.replace(each, "")
    return f" {_GAP.sub(' ', text.casefold())} "


@lru_cache(maxsize=256)
def _denied(deny_list: tuple[str, ...]) -> re.Pattern[str]:
    """Any of the words or phrases, with spaces, hyphens or nothing between their parts, also in the plural."""
    phrases = (" ?".join(map(re.escape, _words(phrase).split())) for phrase in deny_list)
    return re.compile(rf" (?:{'|'.join(filter(None, phrases)) or '(?!)'})s? ")
