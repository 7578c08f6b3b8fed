"""Kafka and PostgreSQL over TLS by settings: the certificate is verified, and the host it is for."""

import os
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiokafka.errors import KafkaConnectionError
from sqlalchemy.engine import make_url

from chassis.broker import kafka_broker
from chassis.errors import Unavailable
from chassis.kafka import admin_client, close_producer, open_producer
from chassis.metrics import MetricsRegistry
from chassis.settings import KafkaSettings, Security, StoreSettings
from chassis.store import Store
from tests.support.certificates import Authority
from tests.support.tls_proxy import KafkaOverTls, PostgresOverTls, mended

pytestmark = [
    pytest.mark.servers,
    pytest.mark.skipif("TEST_KAFKA" not in os.environ or "TEST_POSTGRES" not in os.environ, reason="no TEST_KAFKA"),
]


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def stranger(tmp_path: Path) -> Authority:
    """Another authority, which signed nothing of ours."""
    (folder := tmp_path / "stranger").mkdir()
    return Authority(folder)


@pytest.fixture(params=["127.0.0.1", "other.example.org"])
async def kafka(request: pytest.FixtureRequest, authority: Authority) -> AsyncIterator[KafkaSettings]:
    """A broker with a certificate for that host."""
    proxy = KafkaOverTls(os.environ["TEST_KAFKA"], authority.server_context(request.param))
    async with mended(proxy):
        yield KafkaSettings(bootstrap=proxy.address, security=Security.SSL, ca_file=authority.ca_file)


@pytest.fixture(params=["127.0.0.1", "other.example.org"])
async def store(request: pytest.FixtureRequest, authority: Authority) -> AsyncIterator[StoreSettings]:
    """A database with a certificate for that host."""
    url = make_url(os.environ["TEST_POSTGRES"])
    proxy = PostgresOverTls(f"{url.host}:{url.port}", authority.server_context(request.param))
    async with mended(proxy):
        moved = url.set(port=proxy.port).render_as_string(hide_password=False)
        yield StoreSettings(url=moved, ca_file=authority.ca_file)


ours = pytest.mark.parametrize("kafka", ["127.0.0.1"], indirect=True)
others = pytest.mark.parametrize("kafka", ["other.example.org"], indirect=True)


@ours
async def test_every_client_of_kafka_gets_in_over_a_verified_line(kafka: KafkaSettings) -> None:
    async with admin_client(kafka) as admin:
        assert await admin.list_topics() is not None
    producer = await open_producer(kafka)
    assert await producer.client.force_metadata_update()
    await close_producer(producer)
    broker = kafka_broker(kafka, service="test", registry=MetricsRegistry().prometheus)
    await broker.start()
    await broker.stop()


@ours
async def test_a_broker_of_an_unknown_authority_is_refused(
    kafka: KafkaSettings, stranger: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    await refused(kafka.model_copy(update={"ca_file": stranger.ca_file}))
    assert "certificate verify failed" in caplog.text


@others
async def test_a_broker_with_another_hosts_certificate_is_refused(
    kafka: KafkaSettings, caplog: pytest.LogCaptureFixture
) -> None:
    await refused(kafka)
    assert "certificate verify failed" in caplog.text


async def refused(kafka: KafkaSettings) -> None:
    with pytest.raises(Unavailable, match="kafka"):
        async with admin_client(kafka):
            pass
    with pytest.raises(KafkaConnectionError):
        await open_producer(kafka)


@pytest.mark.parametrize("store", ["127.0.0.1"], indirect=True)
async def test_the_store_answers_over_a_verified_line(store: StoreSettings) -> None:
    assert await error_of(store) is None


@pytest.mark.parametrize("store", ["127.0.0.1"], indirect=True)
async def test_a_store_of_an_unknown_authority_is_refused(store: StoreSettings, stranger: Authority) -> None:
    error = await error_of(store.model_copy(update={"ca_file": stranger.ca_file}))
    assert isinstance(error, ssl.SSLCertVerificationError)


@pytest.mark.parametrize("store", ["other.example.org"], indirect=True)
async def test_a_store_with_another_hosts_certificate_is_refused(store: StoreSettings) -> None:
    error = await error_of(store)
    assert isinstance(error, ssl.SSLCertVerificationError)
    assert "not valid for" in str(error)


async def test_a_store_without_tls_is_refused_where_a_ca_file_is_set(authority: Authority) -> None:
    error = await error_of(StoreSettings(url=os.environ["TEST_POSTGRES"], ca_file=authority.ca_file))
    assert isinstance(error, ConnectionError)


async def error_of(settings: StoreSettings) -> BaseException | None:
    store = Store(settings)
    try:
        await store.ping()
    except OSError as error:
        return error
    finally:
        await store.close()
    return None
