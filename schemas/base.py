"""What every contract model shares: producers are strict, consumers tolerant.

A producer validates with ``strict_data`` (an unknown field or enum member is an error that names it), a consumer with
``tolerant_data`` (unknown fields are ignored, an unknown enum member becomes ``unknown``). Both use the same models.
"""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, Self, TypeVar

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    GetJsonSchemaHandler,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    WrapValidator,
)
from pydantic.functional_validators import ModelWrapValidatorHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

_TOLERANT = {"tolerant": True}


class Contract(BaseModel):
    """Base of all contract models: frozen, and tolerant of unknown fields unless a producer asks otherwise."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    @classmethod
    def strict_data(cls, data: Any) -> Self:
        """Validate as a producer must: ``ValidationError`` on unknown fields and unknown enum members."""
        return cls.model_validate(data, extra="forbid")

    @classmethod
    def strict_json(cls, data: bytes | str) -> Self:
        """``strict_data`` for JSON text."""
        return cls.model_validate_json(data, extra="forbid")

    @classmethod
    def tolerant_json(cls, data: bytes | str) -> Self:
        """Validate as a consumer must: unknown fields are ignored, unknown enum members become ``unknown``."""
        return cls.model_validate_json(data, extra="ignore", context=_TOLERANT)


E = TypeVar("E", bound=StrEnum)


def _or_unknown(value: Any, handler: ModelWrapValidatorHandler[Any], info: ValidationInfo) -> Any:
    tolerant = bool(info.context and info.context.get("tolerant"))
    try:
        member = handler(value)
    except ValidationError:
        if tolerant and isinstance(value, str):
            return handler("unknown")
        raise
    if member == "unknown" and not tolerant:
        raise ValueError("'unknown' is what a reader makes of a value it doesn't know; it can't be sent")
    return member


class _Sendable:
    """JSON Schema of an open enum: the members that may be sent, so without ``unknown``."""

    @staticmethod
    def __get_pydantic_json_schema__(schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        enum = handler.resolve_ref_schema(handler(schema))
        return enum | {"enum": [each for each in enum["enum"] if each != "unknown"]}


_PARSER = TypeAdapter[datetime](AwareDatetime)


def _written_out(value: Any, handler: ModelWrapValidatorHandler[Any], info: ValidationInfo) -> Any:
    """No number: the parser takes one for seconds since 1970, as digits in a string too."""
    if isinstance(value, str) and ":" in value:
        # Behind a validator strict mode forgets that JSON has no datetimes of its own.
        return handler(_PARSER.validate_python(value) if info.mode == "json" else value)
    if isinstance(value, datetime):
        return handler(value)
    raise ValueError("needs a date, a time and an offset, such as 2027-03-16T09:30:00-07:00")


def _utc(value: datetime) -> datetime:
    try:
        return value.astimezone(UTC).replace(microsecond=value.microsecond // 1000 * 1000)
    except OverflowError:
        raise ValueError("must lie in the years 1 to 9999 in UTC, too") from None


Open = Annotated[E, WrapValidator(_or_unknown), _Sendable]
"""An enum that may grow: ``Open[Status]``. The enum must have a member ``unknown``."""

Instant = Annotated[AwareDatetime, WrapValidator(_written_out), AfterValidator(_utc)]
"""A moment, written out (RFC 3339) with its offset; normalised to UTC and to milliseconds, which is what stores keep.

With more it would never equal what was stored of it: a visit whose patient was told would differ from what they heard.
"""
