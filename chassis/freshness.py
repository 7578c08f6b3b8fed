"""How far this service's picture of a topic reaches, per partition: so that nobody acts on yesterday.

``caught_up_at`` is when a consumer last stood at the end of the partition; ``fresh_as_of`` is up to when the producer
says that everything it committed has been published. Both are databases' clocks. Consumers write, guards read.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from aiokafka.partitioner import murmur2
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Integer,
    MetaData,
    String,
    Table,
    bindparam,
    case,
    func,
    null,
    select,
    update,
)  # fmt: skip
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.store import UtcDateTime, database_now, insert

CAUGHT_UP_WITHIN = timedelta(seconds=60)
PUBLISHED_WITHIN = timedelta(minutes=60)
PARTITIONS = 24
"""Of every topic whose records have a key, for good (``schemas.topics``)."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Where one partition stands: everything below ``position`` is applied."""

    partition: int
    position: int
    at_end: bool
    fresh_as_of: datetime | None = None


@dataclass(frozen=True, slots=True)
class Freshness:
    """What is known of a key's partition. ``database_now`` was read in the same statement."""

    caught_up_at: datetime | None
    fresh_as_of: datetime | None
    database_now: datetime

    def is_behind(self) -> bool:
        """Whether this partition may hold what isn't read yet: all that is known where no heartbeats come."""
        return self.caught_up_at is None or self.database_now - self.caught_up_at > CAUGHT_UP_WITHIN

    def is_stale(self) -> bool:
        """Whether nobody may act on this partition's truth now."""
        if self.is_behind() or self.fresh_as_of is None:
            return True
        return self.database_now - self.fresh_as_of > PUBLISHED_WITHIN


_NOTHING_KNOWN = Freshness(None, None, datetime.max.replace(tzinfo=UTC))


def positions_table(metadata: MetaData) -> Table:
    """A row per consumer group and partition."""
    return Table(
        "positions",
        metadata,
        Column("consumer_group", String(100), primary_key=True),
        Column("partition", Integer, primary_key=True, autoincrement=False),
        Column("position", BigInteger, nullable=False),
        Column("caught_up_at", UtcDateTime),
        Column("fresh_as_of", UtcDateTime),
    )


async def record_progress(
    connection: AsyncConnection, positions: Table, group: str, progress: Sequence[Progress]
) -> None:
    """Store where partitions stand. A position that went back (a new broker) forgets how fresh its partition was."""
    if not progress:
        return
    old = positions.c
    statement = insert(connection, positions).values(
        consumer_group=group,
        partition=bindparam("p_partition"),
        position=bindparam("p_position"),
        caught_up_at=case((bindparam("p_at_end", type_=Boolean), database_now()), else_=null()),
        fresh_as_of=bindparam("p_fresh", type_=UtcDateTime),
    )
    new = statement.excluded
    went_back = new.position < old.position
    await connection.execute(
        statement.on_conflict_do_update(
            index_elements=[old.consumer_group, old.partition],
            set_={
                "position": new.position,
                "caught_up_at": case((went_back, null()), else_=func.coalesce(new.caught_up_at, old.caught_up_at)),
                "fresh_as_of": case(
                    (went_back, new.fresh_as_of),
                    (new.fresh_as_of > old.fresh_as_of, new.fresh_as_of),
                    else_=func.coalesce(old.fresh_as_of, new.fresh_as_of),
                ),
            },
        ),
        [
            {"p_partition": at.partition, "p_position": at.position, "p_at_end": at.at_end, "p_fresh": at.fresh_as_of}
            for at in sorted(progress, key=lambda each: each.partition)  # one order of locks for everybody
        ],
    )


async def forget_caught_up(connection: AsyncConnection, positions: Table, group: str) -> None:
    """Nothing of this group is fresh any more: the topic, or its broker, is another one."""
    mine = positions.c.consumer_group == group
    await connection.execute(update(positions).where(mine).values(position=0, caught_up_at=None, fresh_as_of=None))


async def stored_positions(connection: AsyncConnection, positions: Table, group: str) -> dict[int, int]:
    """Position per partition, as last stored."""
    mine = positions.c.consumer_group == group
    rows = await connection.execute(select(positions.c.partition, positions.c.position).where(mine))
    return {row.partition: row.position for row in rows}


async def freshness(
    connection: AsyncConnection, positions: Table, group: str, keys: Iterable[str], partitions: int = PARTITIONS
) -> dict[str, Freshness]:
    """How fresh the picture of each key's partition is; nothing known counts as stale."""
    wanted = {key: partition_of(key, partitions) for key in keys}
    mine = (positions.c.consumer_group == group) & positions.c.partition.in_(sorted(set(wanted.values())))
    columns = (positions.c.partition, positions.c.caught_up_at, positions.c.fresh_as_of, database_now().label("now"))
    rows = await connection.execute(select(*columns).where(mine))
    known = {row.partition: Freshness(row.caught_up_at, row.fresh_as_of, row.now) for row in rows}
    return {key: known.get(partition, _NOTHING_KNOWN) for key, partition in wanted.items()}


def partition_of(key: str, partitions: int = PARTITIONS) -> int:
    """Where producers put ``key``: Kafka's own murmur2."""
    return int(murmur2(key.encode()) & 0x7FFFFFFF) % partitions
