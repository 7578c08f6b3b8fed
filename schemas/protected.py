"""Protected values: names, addresses, birth dates and clinical words which no log, span or error may show.

``str()``, ``repr()`` and formatting give ``<protected>``; ``reveal()`` is the only way to the value.
Serialising a model reveals: such models travel only inside sealed blocks.
"""

from typing import Any, Generic, TypeVar, get_args

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

T = TypeVar("T")


class Protected(Generic[T]):
    """A value that doesn't show itself."""

    __slots__ = ("_value",)

    def __init__(self, value: T) -> None:
        self._value = value

    def reveal(self) -> T:
        """The value itself, for the one place that needs it."""
        return self._value

    def __repr__(self) -> str:
        return "<protected>"

    def __format__(self, spec: str) -> str:
        return "<protected>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Protected) and self._value == other._value

    def __hash__(self) -> int:
        return hash((Protected, self._value))

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        (inner,) = get_args(source)
        plain = handler.generate_schema(inner)
        wrap = core_schema.no_info_after_validator_function(cls, plain)
        return core_schema.json_or_python_schema(
            json_schema=wrap,
            python_schema=core_schema.union_schema([core_schema.is_instance_schema(cls), wrap], mode="left_to_right"),
            serialization=core_schema.plain_serializer_function_ser_schema(cls.reveal, return_schema=plain),
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return handler(schema["json_schema"])
