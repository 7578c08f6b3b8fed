"""A sealed block opens for its tenant, subject and model under its key, and for nothing else."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from chassis.errors import Permanent
from chassis.sealing import DataKey, Keyring, KeyringSettings
from schemas.base import Contract
from schemas.protected import Protected
from schemas.sealed import Sealed


class Block(Contract):
    name: Protected[str]


class OtherBlock(Contract):
    name: Protected[str]


class Narrower(Contract):
    name: int


OLD, NEW = b"o" * 32, b"n" * 32
RING = Keyring({"old": OLD, "new": NEW}, active="new")
BLOCK = Block(name=Protected("Synthetic Anna"))
HERE = {"tenant": "csmc", "subject": "patient/1"}


def cannot_open(ring: Keyring, sealed: Sealed, model: type[Contract] = Block, **where: str) -> bool:
    with pytest.raises(Permanent) as caught:
        ring.open(sealed, model, **(HERE | where))
    return caught.value.reason == "cannot_open"


def test_a_sealed_block_opens_where_it_belongs() -> None:
    sealed = RING.seal(BLOCK, **HERE)
    assert (sealed.enc, sealed.kid) == ("A256GCM", "new")
    assert RING.open(sealed, Block, **HERE) == BLOCK
    assert RING.open(Sealed.strict_json(sealed.model_dump_json()), Block, **HERE) == BLOCK


def test_nothing_of_the_block_stands_in_the_clear_and_no_two_seals_are_alike() -> None:
    first, second = RING.seal(BLOCK, **HERE), RING.seal(BLOCK, **HERE)
    assert b"Anna" not in base64.urlsafe_b64decode(first.ciphertext + "==")
    assert (first.iv, first.ciphertext) != (second.iv, second.ciphertext)


def test_a_block_moved_to_another_tenant_subject_or_field_does_not_open() -> None:
    sealed = RING.seal(BLOCK, **HERE)
    assert cannot_open(RING, sealed, tenant="kaiser")
    assert cannot_open(RING, sealed, subject="patient/2")
    assert cannot_open(RING, sealed, OtherBlock)


@given(st.text(max_size=5), st.text(max_size=5), st.text(max_size=5), st.text(max_size=5))
def test_no_other_split_of_tenant_and_subject_opens_it(tenant: str, subject: str, other: str, further: str) -> None:
    sealed = RING.seal(BLOCK, tenant=tenant, subject=subject)
    if (tenant, subject) != (other, further):
        assert cannot_open(RING, sealed, tenant=other, subject=further)


def test_another_key_under_the_same_name_or_no_key_does_not_open() -> None:
    sealed = RING.seal(BLOCK, **HERE)
    assert cannot_open(Keyring({"new": OLD}, active="new"), sealed)
    assert cannot_open(Keyring({"old": OLD}, active="old"), sealed)


@pytest.mark.parametrize("field", ["iv", "ciphertext"])
@pytest.mark.parametrize("value", ["A", "AAAA", "A" * 40])
def test_changed_bytes_do_not_open(field: str, value: str) -> None:
    assert cannot_open(RING, RING.seal(BLOCK, **HERE).model_copy(update={field: value}))


def test_after_a_rotation_both_old_and_new_blocks_open() -> None:
    before = Keyring({"old": OLD}, active="old").seal(BLOCK, **HERE)
    assert before.kid == "old"
    assert RING.open(before, Block, **HERE) == BLOCK


def test_a_block_that_its_model_refuses_is_named_without_its_text() -> None:
    Narrower.__name__ = "Block"  # what a service with another idea of the block would have
    sealed = RING.seal(BLOCK, **HERE)
    with pytest.raises(Permanent) as caught:
        RING.open(sealed, Narrower, **HERE)
    assert caught.value.reason == "bad_block"
    assert "Anna" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_wrapped_data_key_comes_back_after_a_rotation_and_opens_what_it_sealed() -> None:
    key, wrapped = Keyring({"old": OLD}, active="old").new_data_key()
    sealed = key.seal_bytes(b"a column", b"patient/1.name")
    assert RING.unwrap(wrapped).open_bytes(sealed, b"patient/1.name") == b"a column"


def test_a_column_moved_to_another_row_or_under_another_data_key_does_not_open() -> None:
    key, _ = RING.new_data_key()
    other, _ = RING.new_data_key()
    sealed = key.seal_bytes(b"a column", b"patient/1.name")
    for attempt, where in ((key, b"patient/2.name"), (other, b"patient/1.name")):
        with pytest.raises(Permanent, match="cannot_open"):
            attempt.open_bytes(sealed, where)


@pytest.mark.parametrize("wrapped", [b"", b"\x00", b"\x03new", b"\x03new" + b"x" * 60, b"\xff\xff", b"\x03zzz" * 20])
def test_bytes_that_are_no_wrapped_key_do_not_open(wrapped: bytes) -> None:
    with pytest.raises(Permanent, match="cannot_open"):
        RING.unwrap(wrapped)


def test_neither_ring_nor_key_nor_settings_show_a_key() -> None:
    text = base64.b64encode(NEW).decode()
    settings = KeyringSettings.model_validate({"active": "new", "keys": {"new": text}})
    shown = f"{RING!r} {RING} {settings!r} {settings} {DataKey(NEW)!r} {settings.ring()!r}"
    assert "nnnn" not in shown
    assert text[:8] not in shown
    assert settings.ring().open(RING.seal(BLOCK, **HERE), Block, **HERE) == BLOCK


@pytest.mark.parametrize(
    "settings",
    [
        {"active": "b", "keys": {"a": base64.b64encode(NEW).decode()}},
        {"active": "a", "keys": {"a": base64.b64encode(NEW[:16]).decode()}},
        {"active": "a", "keys": {"a": "secret, but no base64"}},
        {"active": "A key!", "keys": {"A key!": base64.b64encode(NEW).decode()}},
    ],
)
def test_settings_that_cannot_work_are_refused_without_showing_the_key(settings: dict[str, object]) -> None:
    with pytest.raises(ValidationError) as caught:
        KeyringSettings.model_validate(settings)
    assert "secret" not in str(caught.value)
    assert base64.b64encode(NEW).decode()[:8] not in str(caught.value)


def test_a_ring_needs_its_active_key_and_keys_of_the_right_length() -> None:
    with pytest.raises(ValueError, match="active"):
        Keyring({"a": NEW}, active="b")
    with pytest.raises(ValueError, match="32 bytes"):
        Keyring({"a": b"short"}, active="a")
