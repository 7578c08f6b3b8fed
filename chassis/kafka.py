"""Raw aiokafka clients from ``KafkaSettings``: the producer and the admin client. Consumers come from FastStream."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from chassis.errors import Unavailable
from chassis.settings import KafkaSettings, Security

REQUEST_SECONDS = 5.0
CLOSE_SECONDS = 5.0
BATCH_BYTES = 512 * 1024  # below the broker's limit for a batch, 1 MiB by default


def client_options(kafka: KafkaSettings) -> dict[str, Any]:
    """What every aiokafka client takes: where the brokers are and how to get in. TLS always verifies."""
    options: dict[str, Any] = {
        "bootstrap_servers": kafka.bootstrap.split(","),
        "security_protocol": kafka.security.name,
        "request_timeout_ms": int(REQUEST_SECONDS * 1000),
    }
    if kafka.security in (Security.SSL, Security.SASL_SSL):
        options["ssl_context"] = ssl.create_default_context(cafile=kafka.ca_file)
    if kafka.username is not None and kafka.password is not None:
        credentials = {"sasl_plain_username": kafka.username, "sasl_plain_password": kafka.password.get_secret_value()}
        options |= {"sasl_mechanism": "PLAIN", **credentials}
    return options


async def open_producer(kafka: KafkaSettings) -> AIOKafkaProducer:
    """A started producer: ``acks=all``, idempotent unless the broker is the embedded one, which can't.

    Raises ``KafkaError``, ``OSError`` or ``TimeoutError`` when no broker answers in time; nothing is left open then.
    """
    producer = AIOKafkaProducer(
        **client_options(kafka), acks="all", enable_idempotence=not kafka.embedded, max_batch_size=BATCH_BYTES
    )
    try:
        async with asyncio.timeout(2 * REQUEST_SECONDS):
            await producer.start()
    except BaseException:
        await close_producer(producer)
        raise
    return producer


async def close_producer(producer: AIOKafkaProducer) -> None:
    """Close without sending what is still queued: the outbox has it.

    ``AIOKafkaProducer.stop`` flushes first, and aiokafka never gives up an idempotent batch: in an outage it would not
    return, and after it the batch would go out although another instance has long taken over.
    """
    producer._closed = True  # or its finaliser complains
    sending = producer._sender.sender_task
    if sending is not None:  # waited for from outside: one that hasn't begun yet would hand its cancellation on to us
        sending.cancel()
        await asyncio.wait({sending}, timeout=CLOSE_SECONDS)
    await producer.client.close()


@asynccontextmanager
async def admin_client(kafka: KafkaSettings) -> AsyncIterator[AIOKafkaAdminClient]:
    """An admin client for the block. Raises ``Unavailable("kafka")`` when no broker answers, also inside the block."""
    client = AIOKafkaAdminClient(**client_options(kafka))
    try:
        await client.start()
        yield client
    except (KafkaError, OSError, TimeoutError) as error:
        raise Unavailable("kafka") from error
    finally:
        await client.close()
