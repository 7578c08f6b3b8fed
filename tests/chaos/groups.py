"""What befalls a group of consumers, or the log: restarts, rebalances, repeats, poison; and a wrong clock."""

import asyncio
import uuid
from collections.abc import Sequence
from datetime import timedelta

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError
from sqlalchemy import text

from schemas.registry import INTAKE_EVENTS
from schemas.topics import TOPICS
from tests.chaos.log import PLACES
from tests.chaos.rounds import Fault, Scene
from tests.chaos.site import PATIENCE, SERVICES, Site
from tests.support.eventually import eventually
from tests.support.processes import Service

LOCKED_SECONDS = 8.0
FROZEN_SECONDS = 14.0
"""Longer than the session of a group's member."""
SKEW_SECONDS = 300
REPLAYED: Sequence[Service] = ("notifier", "trials")
POISON_EVERY = 100


async def rolling_restart(scene: Scene) -> str:
    """Two instances of each service; of each, one is stopped in order and started again, and then the other."""
    site = scene.site
    await asyncio.gather(*(site.start(each, "b") for each in SERVICES))
    await site.reading()
    for instance in ("a", "b"):
        await asyncio.gather(*(_renewed(site, each, instance) for each in SERVICES))
    await site.reading()
    await asyncio.gather(*(site.retire(each, "b") for each in SERVICES))
    return "two instances of each, all six restarted"


async def _renewed(site: Site, service: Service, instance: str) -> None:
    assert await site.instances[f"{service}-{instance}"].stop() == 0
    await site.start(service, instance)


async def rebalance(scene: Scene) -> str:
    """The notifier's batch waits for a lock while a second instance joins its group."""
    store = scene.site.stores["notifier"]
    async with store.write() as connection:
        schema = scene.site.env["notifier"]["NOTIFIER_STORE__SCHEMA"]
        await connection.execute(text(f"LOCK TABLE {schema}.patients IN SHARE ROW EXCLUSIVE MODE"))
        joining = asyncio.create_task(scene.site.start("notifier", "b"))
        await asyncio.sleep(LOCKED_SECONDS)  # that is how slow the batch is
    await joining
    await scene.site.retire("notifier", "b")
    return f"a batch of {LOCKED_SECONDS:.0f} s"


async def frozen(scene: Scene) -> str:
    """One of two notifiers stands still for longer than its session and its group goes on without it."""
    second = await scene.site.start("notifier", "b")
    first = scene.site.instances["notifier-a"]
    first.pause()
    await asyncio.sleep(FROZEN_SECONDS)  # that is how long it stands still
    first.resume()
    await first.ready()
    assert not second.is_dead()
    await scene.site.retire("notifier", "b")
    return f"for {FROZEN_SECONDS:.0f} s"


async def wrong_clock(scene: Scene) -> str:
    """The notifier lives five minutes ahead of everybody else."""
    await scene.site.restart("notifier", program=("tests.chaos.skewed", str(SKEW_SECONDS)))
    scene.watch.ahead = timedelta(seconds=SKEW_SECONDS)
    await asyncio.sleep(LOCKED_SECONDS)  # some life with it
    await scene.site.restart("notifier")
    scene.watch.ahead = timedelta()
    return f"the notifier's, {SKEW_SECONDS} s ahead"


async def replay(scene: Scene) -> str:
    """The groups that read intake's topic are set back to the beginning while their services are down."""
    for service in REPLAYED:
        await scene.site.instances[f"{service}-a"].stop()
    bootstrap = scene.site.pair.kafka.bootstrap
    for group in (f"{service}.intake" for service in REPLAYED):
        async with AIOKafkaConsumer(
            bootstrap_servers=bootstrap, group_id=group, enable_auto_commit=False
        ) as client:  # fmt: skip
            client.assign(PLACES)
            await eventually(lambda client=client: _set_back(client), within=PATIENCE)  # type: ignore[misc]  # bound now
    await asyncio.gather(*(scene.site.start(each) for each in REPLAYED))
    await scene.log.read_on()
    return f"{scene.log.records} records read again, by two services"


async def _set_back(client: AIOKafkaConsumer) -> bool:
    """Refused while the broker still counts a stopped member as one."""
    try:
        await client.commit(dict.fromkeys(PLACES, 0))
    except KafkaError:
        return False
    return True


async def poison(scene: Scene) -> str:
    """All that is on the log once more, and one bad record among a hundred."""
    records = await _all(scene.site.pair.kafka.bootstrap)
    example = next(each for each in records if _type(each).startswith("org.upright.patient.registered."))
    bad = 0
    async with AIOKafkaProducer(
        bootstrap_servers=scene.site.pair.kafka.bootstrap, acks="all", enable_idempotence=True
    ) as producer:
        for number, each in enumerate(records):
            await producer.send(INTAKE_EVENTS, each.value, each.key, headers=list(each.headers))
            if number % POISON_EVERY == 0:
                bad += 1
                key = str(uuid.uuid4()).encode()
                await producer.send(INTAKE_EVENTS, b'{"patient_id": \xff', key, headers=list(example.headers))
        await producer.flush()
    scene.poison += bad * len([each for each in TOPICS[INTAKE_EVENTS].groups if each.split(".")[0] in REPLAYED])
    await eventually(lambda: _buried(scene), within=PATIENCE)
    return f"{bad} bad records among {len(records)} repeated ones"


async def _buried(scene: Scene) -> bool:
    return await scene.site.dead_letters() >= scene.poison


async def _all(bootstrap: str) -> list[ConsumerRecord]:
    """Everything that is on the topic now, without heartbeats."""
    found: list[ConsumerRecord] = []
    async with AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False) as client:
        client.assign(PLACES)
        await client.seek_to_beginning(*PLACES)
        ends: dict[TopicPartition, int] = await client.end_offsets(PLACES)
        while [each for each, end in ends.items() if await client.position(each) < end]:
            for records in (await client.getmany(timeout_ms=500)).values():
                found += [each for each in records if "heartbeat" not in _type(each)]
    return found


def _type(record: ConsumerRecord) -> str:
    return bytes(dict(record.headers).get("ce_type", b"")).decode()


RESTARTS = [
    Fault("rolling restart", rolling_restart),
    Fault("rebalance during a slow batch", rebalance),
    Fault("a frozen instance", frozen),
]
LOG = [
    Fault("clock five minutes off", wrong_clock),
    Fault("full replay from earliest", replay),
    Fault("1 % poison", poison),
]
