"""The envelope: CloudEvents 1.0 with the documented extensions and two of our own (``tenant``, ``origin``).

On Kafka each attribute is a header ``ce_<name>`` (binary mode); ``chassis.cloudevents`` encodes and decodes.
"""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from schemas.base import Contract, Instant, Open
from schemas.ids import TenantCode

TYPE_PREFIX = "org.upright."
SCHEMA_BASE = "https://schemas.upright.example/"

Short = Annotated[str, StringConstraints(min_length=1, max_length=255)]


class Origin(StrEnum):
    """Why an event was published. Backfills and snapshots cause no immediate mail except safety notices."""

    LIVE = "live"
    BACKFILL = "backfill"
    SNAPSHOT = "snapshot"
    UNKNOWN = "unknown"


class Envelope(Contract):
    """CloudEvents attributes of one event. ``sequence`` is the version of the subject (zero-padded on the wire).

    ``partitionkey`` is the patient id and the record key; a heartbeat has none. ``time`` is when it happened,
    ``recordedtime`` when intake accepted it; both civil.
    """

    specversion: Literal["1.0"] = "1.0"
    id: Short
    source: Short
    type: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9._-]*\.v[0-9]{1,4}$", max_length=255)]
    time: Instant
    subject: Short | None = None
    datacontenttype: Short = "application/json"
    dataschema: Short | None = None
    partitionkey: Short | None = None
    correlationid: Short | None = None
    causationid: Short | None = None
    sequence: Annotated[int, Field(ge=0)] | None = None
    expirytime: Instant | None = None
    recordedtime: Instant | None = None
    dataclassification: Short | None = None
    dataregulation: Short | None = None
    datacategory: Short | None = None
    authtype: Short | None = None
    authid: Short | None = None
    tenant: TenantCode | None = None
    origin: Open[Origin] = Origin.LIVE
    traceparent: Short | None = None
