"""Who may do what on the broker, from what ``schemas.topics`` says: create what is missing, revoke nothing.

A service's principal is ``User:<service>``. It writes what it produces, reads what it consumes, commits for its own
groups, and may do nothing else. Rights beyond these are reported: somebody may need them, so a person decides.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import NoError, for_code
from aiokafka.protocol.admin import CreateAclsRequest, DescribeAclsRequest

from chassis.errors import Unavailable
from chassis.kafka import admin_client
from chassis.settings import KafkaSettings
from schemas.topics import Topic

ANY_HOST = "*"
_ALLOW, _ANY = 3, 1


class Resource(IntEnum):
    """The protocol's numbers."""

    TOPIC = 2
    GROUP = 3


class Pattern(IntEnum):
    """Whether the name is the resource's own, or how it begins."""

    LITERAL = 3
    PREFIXED = 4


class Operation(IntEnum):
    """The protocol's numbers; reading and writing include describing."""

    READ = 3
    WRITE = 4
    CREATE = 5
    DESCRIBE_CONFIGS = 10


@dataclass(frozen=True, slots=True, order=True)
class Acl:
    """One right of one service."""

    service: str
    operation: Operation
    resource: Resource
    name: str
    pattern: Pattern = Pattern.LITERAL

    def __str__(self) -> str:
        name = f"{self.name}*" if self.pattern is Pattern.PREFIXED else self.name
        return f"{self.service}: {self.operation.name.lower()} {self.resource.name.lower()} {name}"


@dataclass(frozen=True, slots=True)
class AclReport:
    """``beyond`` are rights of these services that nothing here asks for."""

    created: tuple[Acl, ...]
    beyond: tuple[Acl, ...]


def acls_of(topics: Iterable[Topic]) -> frozenset[Acl]:
    """The rights that these topics' producers and consumers need."""
    return frozenset(acl for topic in topics for acl in _of(topic))


def maker_of(service: str, prefix: str) -> frozenset[Acl]:
    """The rights of a service that makes topics by itself, all of whose names begin alike."""
    operations = (Operation.CREATE, Operation.WRITE, Operation.DESCRIBE_CONFIGS)
    return frozenset(Acl(service, each, Resource.TOPIC, prefix, Pattern.PREFIXED) for each in operations)


def _of(topic: Topic) -> Iterator[Acl]:
    for service in topic.producers:
        yield Acl(service, Operation.WRITE, Resource.TOPIC, topic.name)
    for service in topic.consumers:
        yield Acl(service, Operation.READ, Resource.TOPIC, topic.name)
    for group in topic.groups:
        yield Acl(group.partition(".")[0], Operation.READ, Resource.GROUP, group)


async def apply(kafka: KafkaSettings, wanted: Iterable[Acl]) -> AclReport:
    """Create what is missing. Raises ``Unavailable``: ``"kafka"``, or ``"acls"`` when the broker won't."""
    wanted = frozenset(wanted)
    async with admin_client(kafka) as admin:
        found = {each for service in {acl.service for acl in wanted} for each in await _found(admin, service)}
        missing = sorted(wanted - found)
        for acl in missing:
            await _create(admin, acl)
    return AclReport(tuple(missing), tuple(sorted(found - wanted)))


async def _create(admin: AIOKafkaAdminClient, acl: Acl) -> None:
    request = CreateAclsRequest(
        acl.resource, acl.name, acl.pattern, f"User:{acl.service}", ANY_HOST, acl.operation, _ALLOW
    )
    answer = await admin._send_to_controller(request)
    for code, _text in answer.creation_responses:
        _raise_unless_done(code)


async def _found(admin: AIOKafkaAdminClient, service: str) -> list[Acl]:
    """The rights it has now, of the kinds that are known here."""
    request = DescribeAclsRequest(_ANY, None, _ANY, f"User:{service}", None, _ANY, _ALLOW)
    answer = await admin._send_request(request)
    _raise_unless_done(answer.error_code)
    return [
        Acl(service, Operation(operation), Resource(resource), name, Pattern(pattern))
        for resource, name, pattern, acls in answer.resources
        for _principal, _host, operation, _permission in acls
        if resource in set(Resource) and operation in set(Operation)
    ]


def _raise_unless_done(code: int) -> None:
    error = for_code(code)
    if error is not NoError:
        raise Unavailable("acls") from error()
