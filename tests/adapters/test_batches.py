"""A batch is one transaction, and what is wrong with one record costs only that record."""

import asyncio
from collections.abc import Sequence

import pytest

from chassis.batch import IN_A_ROW, Decoded, TooManyDeadLettersError
from chassis.dead_letters import LetterState, letter_of
from chassis.decoding import Record, decode
from chassis.errors import Permanent, Unavailable
from chassis.freshness import Progress
from chassis.outbox import MAX_MESSAGE_BYTES, Message
from chassis.redrive import dismiss, list_letters, redrive, show_letter
from chassis.scope import Scope
from chassis.store import Store
from tests.support.consuming import WITHDRAWN, Service, a_key, withdrawn
from tests.support.stores import store, store_settings

__all__ = ["store", "store_settings"]

TOPIC = "batches.test.v1"


@pytest.fixture
async def service(store: Store) -> Service:
    made = Service(store)
    await made.create()
    return made


def record(message: Message, offset: int = 0, partition: int = 0) -> Record:
    return Record(message.topic, partition, offset, 1_772_000_000_000, message.key, message.headers, message.value)


def good(*messages: Message) -> list[Decoded]:
    records = [record(message, offset) for offset, message in enumerate(messages)]
    return [Decoded(each, decode(each, {WITHDRAWN})) for each in records]


def bad(offset: int, key: str | None, partition: int = 0) -> Decoded:
    raw = key.encode() if key is not None else b"\xff"
    broken = Record(TOPIC, partition, offset, 1_772_000_000_000, raw, (("ce_tenant", b"cedars"),), b"\x00no json")
    return Decoded(broken, letter=letter_of(broken, Permanent("bad_envelope")))


async def test_a_record_that_is_refused_is_buried_and_its_neighbours_are_applied_once(service: Service) -> None:
    keys = [a_key() for _ in range(9)]
    batch = good(*(withdrawn(TOPIC, key, 1, "permanent" if key == keys[4] else "fine") for key in keys))
    await service.batches().write(batch, ())
    assert await service.versions() == dict.fromkeys([*keys[:4], *keys[5:]], 1)
    assert [await service.effects(key) for key in keys] == [1, 1, 1, 1, 0, 1, 1, 1, 1]
    assert await service.held_keys() == {keys[4]}
    (letter,) = await service.letters()
    assert (letter.letter.reason, letter.letter.error) == ("refused", "chassis.errors.Permanent")
    assert (letter.letter.key, letter.letter.tenant, letter.letter.event) == (keys[4], "cedars", WITHDRAWN)


async def test_an_error_nobody_thought_of_is_buried_without_its_text(service: Service) -> None:
    key = a_key()
    await service.batches().write(good(withdrawn(TOPIC, key, 1, "bug")), ())
    (letter,) = await service.letters()
    assert (letter.letter.reason, letter.letter.error) == ("unexpected", "builtins.KeyError")


async def test_the_copy_for_the_topic_holds_the_original_bytes_and_where_and_why(service: Service) -> None:
    message = withdrawn(TOPIC, a_key(), 1, "permanent")
    await service.batches("test.group").write(good(message), ())
    (row,) = await service.outgoing()
    assert (row.topic, row.key, row.value) == (f"{TOPIC}.test.group.dlq", message.key, message.value)
    assert row.headers == (
        *message.headers,
        ("kafka_dlt-original-topic", TOPIC.encode()),
        ("kafka_dlt-original-partition", b"0"),
        ("kafka_dlt-original-offset", b"0"),
        ("kafka_dlt-original-timestamp", b"1772000000000"),
        ("kafka_dlt-original-consumer-group", b"test.group"),
        ("kafka_dlt-exception-fqcn", b"chassis.errors.Permanent"),
        ("kafka_dlt-reason", b"refused"),
    )


async def test_a_letter_no_topic_would_take_is_stored_and_not_sent(service: Service) -> None:
    huge = Record(TOPIC, 0, 0, 0, b"key", (), b"x" * MAX_MESSAGE_BYTES)
    await service.batches().write([Decoded(huge, letter=letter_of(huge, Permanent("too_large")))], ())
    assert len(await service.letters()) == 1
    assert await service.outgoing() == []


async def test_a_letter_read_again_is_neither_stored_nor_sent_nor_held_again(service: Service) -> None:
    await service.batches().write([bad(7, "one")], ())
    async with service.store.write() as connection:
        await connection.execute(service.held.delete())
    await service.batches().write([bad(7, "one")], ())
    assert (len(await service.letters()), len(await service.outgoing())) == (1, 1)
    assert await service.held_keys() == set()


async def test_a_busy_record_is_tried_again_and_then_applied(service: Service) -> None:
    service.busy = 4
    keys = [a_key(), a_key()]
    await service.batches().write(good(withdrawn(TOPIC, keys[0], 1, "busy"), withdrawn(TOPIC, keys[1])), ())
    assert await service.versions() == dict.fromkeys(keys, 1)
    assert await service.letters() == []


async def test_a_record_that_stays_busy_is_buried_in_the_end(service: Service) -> None:
    service.busy = 1_000
    await service.batches(transient_seconds=0.3).write(good(withdrawn(TOPIC, a_key(), 1, "busy")), ())
    (letter,) = await service.letters()
    assert letter.letter.reason == "busy"
    assert service.busy < 999, "tried more than once"


@pytest.mark.parametrize("error", [Unavailable("away"), ConnectionRefusedError(), TimeoutError()])
async def test_an_outage_buries_nothing(service: Service, error: Exception) -> None:
    def fail() -> None:
        raise error

    service.before_apply = fail
    with pytest.raises(Unavailable):
        await service.batches().write(good(withdrawn(TOPIC, a_key()), withdrawn(TOPIC, a_key())), ())
    assert await service.letters(None) == []


async def test_a_letter_that_cannot_be_stored_is_an_outage(service: Service) -> None:
    async with service.store.write() as connection:
        await connection.run_sync(service.held.drop)
    with pytest.raises(Unavailable, match="dead_letter"):
        await service.batches().write([bad(1, "one")], ())
    assert await service.letters(None) == []
    assert await service.outgoing() == []


async def test_letters_are_stored_before_any_event_and_in_a_transaction_of_their_own(service: Service) -> None:
    """So that whoever marks what a letter concerns holds no lock of the events'."""

    def fail() -> None:
        raise ConnectionResetError

    key = a_key()
    batch = [*good(withdrawn(TOPIC, key)), bad(1, "one")]
    service.before_apply = fail
    with pytest.raises(Unavailable):
        await service.batches().write(batch, ())
    assert (len(await service.letters()), await service.held_keys()) == (1, {"one"})
    assert await service.versions() == {}
    service.before_apply = None
    await service.batches().write(batch, ())
    assert await service.versions() == {key: 1}
    assert (len(await service.letters()), len(await service.outgoing())) == (1, 1)


async def test_too_many_dead_letters_in_a_row_stop_before_the_next_is_stored(service: Service) -> None:
    batches = service.batches()
    for offset in range(IN_A_ROW - 1):
        await batches.write([bad(offset, f"key {offset}")], ())
    with pytest.raises(TooManyDeadLettersError):
        await batches.write([bad(IN_A_ROW, "one more")], ())
    assert len(await service.letters()) == IN_A_ROW - 1


async def test_a_failing_handler_stops_the_consumer_too(service: Service) -> None:
    with pytest.raises(TooManyDeadLettersError):
        await service.batches().write(good(*(withdrawn(TOPIC, a_key(), 1, "bug") for _ in range(64))), ())
    assert len(await service.letters()) == IN_A_ROW - 1


async def test_an_applied_event_between_them_or_another_partition_breaks_the_row(service: Service) -> None:
    batches = service.batches()
    for offset in range(IN_A_ROW - 1):
        await batches.write([bad(offset, f"key {offset}"), bad(offset, f"key {offset}", partition=1)], ())
    await batches.write(good(withdrawn(TOPIC, a_key())), ())
    await batches.write([bad(100, "one more")], ())
    assert len(await service.letters()) == 2 * IN_A_ROW - 1


async def test_one_bad_key_alone_never_stops_the_others(service: Service) -> None:
    await service.batches().write([bad(offset, "always the same") for offset in range(3 * IN_A_ROW)], ())
    assert len(await service.letters()) == 3 * IN_A_ROW


async def test_positions_are_stored_only_with_the_last_part_of_a_batch(service: Service) -> None:
    keys = [a_key() for _ in range(4)]
    seen: list[Sequence[str]] = []

    def fail_late() -> None:
        seen.append(())
        if len(seen) > 2:  # the whole, its first half, and then the store is away
            raise ConnectionResetError

    service.before_apply = fail_late
    batch = good(*(withdrawn(TOPIC, key, 1, "bug" if key == keys[3] else "fine") for key in keys))
    with pytest.raises(Unavailable):
        await service.batches().write(batch, [Progress(0, 4, at_end=True)])
    assert await service.versions() == dict.fromkeys(keys[:2], 1)
    async with service.store.read() as connection:
        assert (await connection.execute(service.tables.positions.select())).all() == []


async def the_letter_of(service: Service, message: Message) -> int:
    await service.batches().write(good(message), ())
    (letter,) = await service.letters()
    return letter.id


async def mended(service: Service, letter_id: int) -> None:
    """The reason it failed is gone: as after a deploy, the handler takes what it refused."""
    table = service.tables.dead_letters
    async with service.store.write() as connection:
        found = await show_letter(connection, table, None, letter_id)
        assert found.letter.record.value is not None
        fine = found.letter.record.value.replace(b"permanent", b"fine")
        await connection.execute(table.update().values(value=fine))


async def test_redriving_runs_the_handler_and_releases_the_key(service: Service) -> None:
    key = a_key()
    letter = await the_letter_of(service, withdrawn(TOPIC, key, 3, "permanent"))
    await mended(service, letter)
    again = redrive(
        service.store, service.tables.dead_letters, None, letter, uses={WITHDRAWN}, apply=service.apply,
        released=service.released,
    )  # fmt: skip
    assert await again == LetterState.REDRIVEN
    assert await service.versions() == {key: 3}
    assert await service.held_keys() == set()
    assert await service.letters() == []


async def test_a_redriven_letter_older_than_the_store_is_superseded(service: Service) -> None:
    key = a_key()
    letter = await the_letter_of(service, withdrawn(TOPIC, key, 1, "permanent"))
    await mended(service, letter)
    await service.batches().write(good(withdrawn(TOPIC, key, 2)), ())
    state = await redrive(
        service.store, service.tables.dead_letters, None, letter, uses={WITHDRAWN}, apply=service.apply,
        released=service.released,
    )  # fmt: skip
    assert state == LetterState.SUPERSEDED
    assert [each.state for each in await service.letters(None)] == [LetterState.SUPERSEDED]
    assert (await service.versions(), await service.held_keys()) == ({key: 2}, set())


async def test_a_letter_that_fails_again_stays_open_and_held(service: Service) -> None:
    key = a_key()
    letter = await the_letter_of(service, withdrawn(TOPIC, key, 1, "permanent"))
    with pytest.raises(Permanent, match="refused"):
        await redrive(
            service.store, service.tables.dead_letters, None, letter, uses={WITHDRAWN}, apply=service.apply,
            released=service.released,
        )  # fmt: skip
    assert [each.id for each in await service.letters()] == [letter]
    assert await service.held_keys() == {key}


async def test_two_people_cannot_redrive_one_letter(service: Service) -> None:
    letter = await the_letter_of(service, withdrawn(TOPIC, a_key(), 1, "permanent"))
    await mended(service, letter)

    async def once() -> LetterState:
        return await redrive(
            service.store, service.tables.dead_letters, None, letter, uses={WITHDRAWN}, apply=service.apply,
            released=service.released,
        )  # fmt: skip

    outcomes = await asyncio.gather(once(), once(), return_exceptions=True)
    assert sorted(str(outcome) for outcome in outcomes) == ["letter_closed", "redriven"]


async def test_dismissing_closes_with_a_note_and_releases(service: Service) -> None:
    letter = await the_letter_of(service, withdrawn(TOPIC, a_key(), 1, "permanent"))
    await dismiss(
        service.store, service.tables.dead_letters, None, letter, "test record", released=service.released
    )  # fmt: skip
    (closed,) = await service.letters(None)
    assert (closed.state, closed.note, closed.closed_at is not None) == (LetterState.DISMISSED, "test record", True)
    assert await service.held_keys() == set()


async def test_a_key_stays_held_until_its_last_letter_is_closed(service: Service) -> None:
    await service.batches().write([bad(1, "one"), bad(2, "one")], ())
    first, second = await service.letters()
    await dismiss(service.store, service.tables.dead_letters, None, first.id, "", released=service.released)
    assert await service.held_keys() == {"one"}
    await dismiss(service.store, service.tables.dead_letters, None, second.id, "", released=service.released)
    assert await service.held_keys() == set()


async def test_a_tenant_sees_and_closes_only_its_own_letters(service: Service) -> None:
    letter = await the_letter_of(service, withdrawn(TOPIC, a_key(), 1, "permanent"))
    table = service.tables.dead_letters
    async with service.store.read() as connection:
        assert [each.id for each in await list_letters(connection, table, Scope("cedars"))] == [letter]
        assert await list_letters(connection, table, Scope("kaiser")) == []
    with pytest.raises(Permanent, match="no_such_letter"):
        await dismiss(service.store, table, Scope("kaiser"), letter, "", released=service.released)


async def test_a_list_has_no_payload_and_a_letter_does_not_print_its_bytes(service: Service) -> None:
    letter = await the_letter_of(service, withdrawn(TOPIC, a_key(), 1, "permanent"))
    (listed,) = await service.letters()
    assert listed.letter.record.value is None
    async with service.store.read() as connection:
        shown = await show_letter(connection, service.tables.dead_letters, None, letter)
    assert shown.letter.record.value is not None
    assert "permanent" not in repr(shown)
