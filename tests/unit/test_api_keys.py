"""A key is known by its secret's digest, and by nothing less."""

import pytest

from chassis.api_keys import ApiKeys, Caller, new_api_key
from chassis.scope import Scope


def test_a_new_key_is_known_with_its_scope_and_roles() -> None:
    text, setting = new_api_key("desk", "cshs", ["k7m2"], ["publish"])
    assert ApiKeys([setting]).caller(text) == Caller("desk", Scope("cshs", frozenset({"k7m2"})), frozenset({"publish"}))


def test_without_programs_a_key_sees_its_whole_tenant() -> None:
    text, setting = new_api_key("desk", "cshs")
    known = ApiKeys([setting]).caller(text)
    assert known is not None
    assert known.scope == Scope("cshs")


def test_the_setting_holds_no_secret_and_shows_no_digest() -> None:
    text, setting = new_api_key("desk", "cshs")
    secret = text.removeprefix("desk.")
    assert len(secret) >= 43
    assert secret not in setting.model_dump_json()
    assert setting.sha256 not in repr(setting)


def test_two_new_keys_differ() -> None:
    assert new_api_key("desk", "cshs")[0] != new_api_key("desk", "cshs")[0]


@pytest.mark.parametrize(
    "wrong", ["", ".", "desk", "desk.", "desk.wrong", "other.{secret}", ".{secret}", "{secret}", "{text}x"]
)
def test_anything_else_is_nobody(wrong: str) -> None:
    text, setting = new_api_key("desk", "cshs")
    keys = ApiKeys([setting])
    assert keys.caller(text) is not None
    assert keys.caller(wrong.format(secret=text.removeprefix("desk."), text=text)) is None


def test_the_digest_itself_is_no_key() -> None:
    _, setting = new_api_key("desk", "cshs")
    assert ApiKeys([setting]).caller(f"desk.{setting.sha256}") is None
