"""The servers of the integration tests from containers: ``pytest -p tests.support.containers``.

Asked for by name, since images may have to be fetched first. Kafka, PostgreSQL and a mail catcher start once, in the
controlling process, and are gone with it; the workers find them in the environment, as they find servers that run
anyway. Where such are given, nothing is started. Without Docker's helper that removes what a killed run left
(``TESTCONTAINERS_RYUK_DISABLED=true``), only a killed run leaves something.
"""

import contextlib
import os
from collections.abc import Iterator

import pytest
from testcontainers.core.container import DockerContainer
from testcontainers.core.wait_strategies import ExecWaitStrategy, HttpWaitStrategy

from tests.support.servers import free_port

GIVEN = ("TEST_KAFKA", "TEST_POSTGRES")
USERS = ("intake", "notifier", "trials", "coordinator", "stranger")
_running = contextlib.ExitStack()


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests() -> None:
    """Before any test module looks into the environment."""
    if not any(name in os.environ for name in GIVEN):
        for start in (_kafka, _postgres, _mailpit):
            os.environ.update(_running.enter_context(start()))


def pytest_unconfigure() -> None:
    _running.close()


@contextlib.contextmanager
def _kafka() -> Iterator[dict[str, str]]:
    """Two ways in: one without a name, which may do all, and one by name and password under the authorizer.

    A broker tells its clients where it is, so its ports are chosen here, the same inside and outside.
    """
    plain, secured = free_port(), free_port()
    users = " ".join(f'user_{name}="{name}-secret"' for name in USERS)
    properties = {
        "node.id": "1",
        "process.roles": "broker,controller",
        "controller.quorum.voters": "1@localhost:9093",
        "controller.listener.names": "CONTROLLER",
        "listeners": f"PLAIN://:{plain},SECURED://:{secured},CONTROLLER://localhost:9093",
        "advertised.listeners": f"PLAIN://127.0.0.1:{plain},SECURED://127.0.0.1:{secured}",
        "listener.security.protocol.map": "PLAIN:PLAINTEXT,SECURED:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT",
        "inter.broker.listener.name": "PLAIN",
        "sasl.enabled.mechanisms": "PLAIN",
        "listener.name.secured.plain.sasl.jaas.config":
            f"org.apache.kafka.common.security.plain.PlainLoginModule required {users};",
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:ANONYMOUS",
        "auto.create.topics.enable": "false",
        "offsets.topic.replication.factor": "1",
        "offsets.topic.num.partitions": "8",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "group.initial.rebalance.delay.ms": "0",
    }  # fmt: skip
    container = DockerContainer("apache/kafka:4.3.0")
    for name, value in properties.items():
        container.with_env("KAFKA_" + name.upper().replace(".", "_"), value)
    for port in (plain, secured):
        container.with_bind_ports(port, port)
    container.waiting_for(_command("bash", "-c", f"exec 3<> /dev/tcp/127.0.0.1/{plain}"))
    with container:
        yield {"TEST_KAFKA": f"127.0.0.1:{plain}", "TEST_KAFKA_SASL": f"127.0.0.1:{secured}"}


@contextlib.contextmanager
def _postgres() -> Iterator[dict[str, str]]:
    container = DockerContainer("postgres:18").with_exposed_ports(5432).with_command("postgres -c max_connections=200")
    container.with_env("POSTGRES_USER", "upright").with_env("POSTGRES_PASSWORD", "upright")
    # over TCP: while it makes its data folder it listens on a socket file alone
    container.waiting_for(_command("pg_isready", "--host", "127.0.0.1", "--username", "upright"))
    with container:
        where = f"{container.get_container_host_ip()}:{container.get_exposed_port(5432)}"
        yield {"TEST_POSTGRES": f"postgresql://upright:upright@{where}/postgres"}


@contextlib.contextmanager
def _mailpit() -> Iterator[dict[str, str]]:
    container = DockerContainer("axllent/mailpit:v1.29").with_exposed_ports(1025, 8025)
    container.waiting_for(HttpWaitStrategy(8025, "/readyz"))
    with container:
        host = container.get_container_host_ip()
        yield {
            "TEST_MAILPIT_SMTP": f"{host}:{container.get_exposed_port(1025)}",
            "TEST_MAILPIT_HTTP": f"http://{host}:{container.get_exposed_port(8025)}",
        }


def _command(*words: str) -> ExecWaitStrategy:
    return ExecWaitStrategy(list(words))
