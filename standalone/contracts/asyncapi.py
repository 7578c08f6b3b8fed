"""The AsyncAPI 3 document: FastStream's generator over each service's broker, completed from ``schemas``.

FastStream writes servers and operations, one channel per operation and no payload for a subscriber without a handler.
Here the channels of one topic become one, with its layout, and each message points to its JSON Schema.
"""

from collections import defaultdict
from typing import Any

from faststream.kafka import KafkaBroker
from faststream.specification.asyncapi import AsyncAPI
from prometheus_client import CollectorRegistry

from chassis.broker import kafka_broker
from chassis.settings import KafkaSettings
from schemas.envelope import Envelope
from schemas.registry import EVENT_TYPES, EventType
from schemas.topics import ALL_TOPICS, SUBSCRIPTION, TOPICS, Topic, dead_letter_topic

DECLARED = {**ALL_TOPICS, SUBSCRIPTION.name: SUBSCRIPTION}
SCHEMA_VERSION = "3.0.0"
TITLE = "Upright"
BINDING = "0.5.0"
REQUIRED = ("id", "source", "specversion", "time", "type")

Document = dict[str, Any]


def asyncapi() -> Document:
    """The whole document. References to JSON Schemas are relative to its own folder."""
    brokers = [_broker(service) for service in sorted(_services())]
    spec = AsyncAPI(*brokers, title=TITLE, version="1.0.0", schema_version=SCHEMA_VERSION).to_specification()
    document: Document = spec.to_jsonable()
    for name, operation in document["operations"].items():
        topic = document["channels"][name]["address"]
        operation.pop("messages")  # left out: all of the channel's
        operation["channel"] = {"$ref": f"#/channels/{topic}"}
    document["channels"] = {name: _channel(topic) for name, topic in DECLARED.items()}
    document["components"] = {
        "messages": {each.wire: _message(each) for each in EVENT_TYPES.values()},
        "schemas": {"Headers": _headers()},
    }
    return document


def _services() -> set[str]:
    return {each for topic in ALL_TOPICS.values() for each in (*topic.producers, *topic.consumers)}


def _broker(service: str) -> KafkaBroker:
    """Registers what the service subscribes to and publishes. Never connected."""
    broker = kafka_broker(KafkaSettings(bootstrap="kafka:9092"), service=service, registry=CollectorRegistry())
    for topic in ALL_TOPICS.values():
        for group in topic.groups:
            if group.partition(".")[0] == service:
                broker.subscriber(topic.name, group_id=group, title=group)
        if service in topic.producers:
            broker.publisher(topic.name, title=f"{service}.publishes.{topic.name}")
    return broker


def _channel(topic: Topic) -> Document:
    source = _original(topic)
    messages = [each.wire for each in EVENT_TYPES.values() if source.name in (each.topic, *each.more_topics)]
    return {
        "address": topic.name,
        "messages": {wire: {"$ref": f"#/components/messages/{wire}"} for wire in messages},
        "bindings": {"kafka": {
            "topic": topic.name,
            "partitions": topic.partitions,
            "topicConfiguration": {
                "cleanup.policy": ["compact" if topic.compacted else "delete"],
                "retention.ms": topic.retention_ms,
            },
            "bindingVersion": BINDING,
        }},
        "x-owner": topic.owner,
        "x-key": topic.key,
        "x-producers": list(topic.producers),
        "x-consumers": list(topic.consumers),
        "x-dead-letter-topics": {group: dead_letter_topic(topic.name, group) for group in topic.groups},
    }  # fmt: skip


def _original(topic: Topic) -> Topic:
    """The topic whose events stand in it: itself, or the one whose dead letters it takes."""
    parked = {dead_letter_topic(each.name, group): each for each in TOPICS.values() for group in each.groups}
    return parked.get(topic.name, topic)


def _message(event: EventType) -> Document:
    key = DECLARED[event.topic].key
    return {
        "name": event.wire,
        "contentType": "application/json",
        "headers": {"$ref": "#/components/schemas/Headers"},
        "correlationId": {"location": "$message.header#/ce_correlationid"},
        "payload": {"$ref": f"./{event.name}.v{event.major}.json"},
        "bindings": {"kafka": {"key": {"type": "string", "description": key}, "bindingVersion": BINDING}},
    }


def _headers() -> Document:
    """CloudEvents 1.0, Kafka binary mode: every header is text; ``envelope.json`` says which."""
    names = defaultdict(lambda: "ce_{}", {"datacontenttype": "content-type", "traceparent": "traceparent"})
    fields = {names[name].format(name): {"type": "string"} for name in Envelope.model_fields}
    return {"type": "object", "required": ["content-type", *(f"ce_{name}" for name in REQUIRED)], "properties": fields}
