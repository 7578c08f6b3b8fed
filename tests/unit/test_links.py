"""Links in mails: they say nothing, and each is good for one purpose alone."""

import base64
import re
import uuid

import pytest

from chassis import links
from chassis.sealing import Keyring
from services.notifier.links import Link, Links

RING = Keyring({"k1": b"1" * 32}, "k1")
LINK = Link("cedars", str(uuid.uuid4()), "k7q2m9")
LINKS = Links("https://messages.example.com", RING)


def token_of(url: str) -> str:
    return url.rpartition("/")[2]


def test_a_link_leads_back_to_whom_it_is_about() -> None:
    url = LINKS.unsubscribe(LINK)
    assert url.startswith("https://messages.example.com/v1/unsubscribe/")
    assert LINKS.unsubscribing(token_of(url)) == LINK


def test_a_token_is_one_word_that_says_nothing_and_is_never_the_same_twice() -> None:
    tokens = {token_of(LINKS.unsubscribe(LINK)) for _ in range(20)}
    assert len(tokens) == 20
    for token in tokens:
        assert re.fullmatch(r"[a-z2-7]{50,130}", token)
        raw = base64.b32decode(token.upper() + "=" * (-len(token) % 8))
        assert uuid.UUID(LINK.patient_id).bytes not in raw
        assert b"cedars" not in raw


def test_what_isnt_a_token_opens_nothing() -> None:
    token = token_of(LINKS.unsubscribe(LINK))
    changed = token[:-3] + ("a" if token[-3] != "a" else "b") + token[-2:]
    for text in ("", "a", "!", changed, token[:-8], token + "a" * 400, "é" * 40, LINK.patient_id):
        assert LINKS.unsubscribing(text) is None, text


def test_a_token_for_another_purpose_or_of_another_key_opens_nothing() -> None:
    other = links.token(RING, "another", b"x" * 30)
    assert links.subject(RING, "another", other) == b"x" * 30
    assert LINKS.unsubscribing(other) is None
    foreign = Links(LINKS.url, Keyring({"k1": b"2" * 32}, "k1"))
    assert LINKS.unsubscribing(token_of(foreign.unsubscribe(LINK))) is None


@pytest.mark.parametrize("active", ["k1", "k2"])
def test_an_old_key_opens_links_for_as_long_as_it_is_kept(active: str) -> None:
    rotated = Links(LINKS.url, Keyring({"k1": b"1" * 32, "k2": b"2" * 32}, active))
    assert rotated.unsubscribing(token_of(LINKS.unsubscribe(LINK))) == LINK
