"""Bodies that a route reads itself, strictly, as OpenAPI shows them."""

from functools import cache
from typing import Any

from pydantic import BaseModel

from schemas.base import Contract


@cache
def body_of(model: type[Contract | BaseModel], method: str, path: str, *, required: bool = True) -> dict[str, Any]:
    """For ``openapi_extra``. Its parts stand within it, where no other model's name can meet theirs."""
    steps = ("paths", path, method, "requestBody", "content", "application/json", "schema", "$defs")
    within = "/".join(each.replace("~", "~0").replace("/", "~1") for each in steps)
    escaped = within.replace("{", "%7B").replace("}", "%7D")
    schema = model.model_json_schema(ref_template=f"#/{escaped}/{{model}}")
    return {"requestBody": {"required": required, "content": {"application/json": {"schema": schema}}}}


RECORDS: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "Records of ClinicalTrials.gov's API v2: one, a list, a page, or one a line.",
        "content": {"application/json": {"schema": {}}, "application/x-ndjson": {"schema": {}}},
    }
}
