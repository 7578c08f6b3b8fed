"""The look and the safety of every page that a person reads.

Templates come from ``templates/pages``, always escaped, extend ``_base/layout.html`` and carry their style inside the
page: nothing is loaded from elsewhere, and the policy below keeps it so. Usable under any prefix.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib import resources
from typing import Any

from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

FIXED_HEADERS = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store"}


@cache
def environment() -> Environment:
    """Templates named as under ``templates/pages``, such as ``mailbox/list.html``; an unknown variable is an error."""
    made = Environment(
        loader=PackageLoader("templates", "pages"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    made.globals["style"] = Markup(style())  # noqa: S704 - our own file, no input in it
    return made


@cache
def style() -> str:
    return resources.files("templates").joinpath("pages/_base/style.css").read_text("utf-8")


def policy(scripts: str = "'none'") -> str:
    """The Content-Security-Policy of a page: nothing from other hosts, only the shared style, scripts as said."""
    digest = base64.b64encode(hashlib.sha256(style().encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'sha256-{digest}'; script-src {scripts}; connect-src 'self'; frame-src 'self'; "
        "img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'self'"
    )


def page(template: str, *, scripts: str = "'none'", status: int = 200, **context: Any) -> HTMLResponse:
    """Render ``template`` and answer with the policy; ``scripts`` is the policy's script-src, such as ``'self'``."""
    body = environment().get_template(template).render(**context)
    return HTMLResponse(body, status, FIXED_HEADERS | {"Content-Security-Policy": policy(scripts)})
