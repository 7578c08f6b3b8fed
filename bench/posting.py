"""Events posted over HTTP until they are on Kafka, one by one and 500 at a time, beside a bare server with one insert.

Speeds are by the wall, from the first post to the last record on the topic, with the poster on the same machine; and by
the processor time of the server's process alone.
"""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import httpx2
from aiokafka import AIOKafkaConsumer, TopicPartition

from bench.bare_http import metadata
from bench.figures import Figure
from bench.site import site
from bench.spent import cpu_of
from chassis.kafka import client_options
from chassis.settings import KafkaSettings
from chassis.store import Store
from schemas.envelope import TYPE_PREFIX
from schemas.registry import INTAKE_EVENTS
from schemas.topics import TOPICS
from tests.support.clinic import new_id
from tests.support.eventually import eventually
from tests.support.servers import free_port
from tests.support.stores import create_all, postgresql_schema

AT_ONCE, SINGLES, BATCHES, BATCH, ROUNDS = 16, 300, 4, 500, 2
Speeds = tuple[float, float]
"""Events a second, and events a second of the server's processor."""


def figures(singles: int = SINGLES, batches: int = BATCHES, rounds: int = ROUNDS) -> Iterator[Figure]:
    """About a minute; nothing without the servers that ``TEST_KAFKA`` and ``TEST_POSTGRES`` name."""
    if not ("TEST_KAFKA" in os.environ and "TEST_POSTGRES" in os.environ):
        return
    found = asyncio.run(_measured(singles, batches, rounds))
    goals = {"one by one": ("≥ 0.6", ""), f"{BATCH} in a batch": ("≥ 0.6, ≥ 5,000 events/s", "")}
    for how, (ours, limit) in found.items():
        yield Figure(f"HTTP in → on Kafka, {how}", ours[0], "events/s", limit[0], goals[how][0])
        yield Figure(f"HTTP in → on Kafka, {how}, of intake's process", ours[1], "events/s of core", limit[1])


async def _measured(singles: int, batches: int, rounds: int) -> dict[str, tuple[Speeds, Speeds]]:
    sizes = {"one by one": (singles, 1), f"{BATCH} in a batch": (batches, BATCH)}
    best = dict.fromkeys(sizes, ((0.0, 0.0), (0.0, 0.0)))
    async with site(1, "intake") as ours, _bare() as (bare_url, bare_pid), _client(ours.kafka) as client:
        intake = ours.services["intake"]
        for _ in range(rounds):
            for how, (posts, size) in sizes.items():
                arrived = await _on_the_log(client) + posts * size
                on_log = _reaches(client, arrived)
                mine = await _speeds(intake.url, ours.token, intake.pid, posts, size, on_log)
                limit = await _speeds(bare_url, ours.token, bare_pid, posts, size, None)
                best[how] = (_most(best[how][0], mine), _most(best[how][1], limit))
    return best


def _most(one: Speeds, other: Speeds) -> Speeds:
    return max(one[0], other[0]), max(one[1], other[1])


async def _speeds(
    url: str, token: str, pid: int, posts: int, size: int, until: Callable[[], Awaitable[bool]] | None
) -> Speeds:
    bodies = [_body(size) for _ in range(posts)]
    form = "cloudevents" if size == 1 else "cloudevents-batch"
    headers = {"content-type": f"application/{form}+json", "authorization": f"Bearer {token}"}
    clock = asyncio.get_running_loop().time
    cpu, began = cpu_of(pid), clock()
    await _post(f"{url}/v1/events", headers, bodies, AT_ONCE if size == 1 else 2)
    if until:
        await eventually(until, within=60)
    return posts * size / (clock() - began), posts * size / max(cpu_of(pid) - cpu, 0.01)


async def _post(url: str, headers: dict[str, str], bodies: Sequence[bytes], at_once: int) -> None:
    async def share(http: httpx2.AsyncClient, number: int) -> None:
        for body in bodies[number::at_once]:
            answer = await http.post(url, content=body, headers=headers)
            if answer.status_code != 202:
                raise RuntimeError(f"answered {answer.status_code}")

    async with httpx2.AsyncClient(timeout=60) as http:
        await asyncio.gather(*(share(http, number) for number in range(at_once)))


def _body(size: int) -> bytes:
    """New patients, each of their own."""
    events = []
    for _ in range(size):
        patient_id = new_id()
        contact = {"given_name": "Ana", "family_name": "Test", "birth_date": "1984-05-02"}
        events.append({
            "specversion": "1.0", "id": new_id(), "source": "https://poster.example/bench",
            "type": f"{TYPE_PREFIX}patient.registered.v1", "time": datetime.now(UTC).isoformat(),
            "subject": f"patient/{patient_id}", "datacontenttype": "application/json",
            "data": {"contact": contact | {"email": f"{patient_id}@example.org"}},
        })  # fmt: skip
    return json.dumps(events[0] if size == 1 else events).encode()


@asynccontextmanager
async def _bare() -> AsyncIterator[tuple[str, int]]:
    """The limit's server, answering: its address and its process."""
    port = free_port()
    async with postgresql_schema() as settings:
        store = Store(settings)
        await create_all(store, metadata)
        await store.close()
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "bench.bare_http",
            str(port),
            env={**os.environ, "BENCH_SCHEMA": settings.schema_name or ""},
        )
        try:
            await eventually(lambda: _listens(port), within=30)
            yield f"http://127.0.0.1:{port}", process.pid
        finally:
            process.terminate()
            await process.wait()


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


def _client(kafka: KafkaSettings) -> AIOKafkaConsumer:
    return AIOKafkaConsumer(**client_options(kafka))


async def _on_the_log(client: AIOKafkaConsumer) -> int:
    places = [TopicPartition(INTAKE_EVENTS, number) for number in range(TOPICS[INTAKE_EVENTS].partitions)]
    return sum((await client.end_offsets(places)).values())


def _reaches(client: AIOKafkaConsumer, many: int) -> Callable[[], Awaitable[bool]]:
    async def there() -> bool:
        return await _on_the_log(client) >= many

    return there
