"""The templates of one kind in one language, read once: ``templates/email/<kind>/<locale>/…``."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from importlib.resources.abc import Traversable

from babel import Locale
from jinja2 import Environment, FunctionLoader, StrictUndefined, Template, select_autoescape
from markupsafe import Markup

DEFAULT_LOCALE = "en"


@dataclass(frozen=True, slots=True)
class TemplateSet:
    """Compiled templates; ``version`` is a hash of every file they were made from."""

    locale: Locale
    subject: Template
    preheader: Template
    text: Template
    html: Template
    calendar_summary: str
    version: str


@lru_cache(maxsize=256)
def template_set(kind: str, language: str) -> TemplateSet:
    """The set in that BCP 47 language, else in its base language, else in English."""
    name = next(name for name in (language, language.partition("-")[0], DEFAULT_LOCALE) if _exists(kind, name))
    get = environment().get_template
    return TemplateSet(
        locale=Locale.parse(name, sep="-"),
        subject=get(f"email/{kind}/{name}/subject.txt.j2"),
        preheader=get(f"email/{kind}/{name}/preheader.txt.j2"),
        text=get(f"email/{kind}/{name}/body.txt.j2"),
        html=get(f"email/{kind}/{name}/body.html.j2"),
        calendar_summary=get(f"email/_base/{name}/calendar.txt.j2").render().strip(),
        version=_version(kind, name),
    )


@cache
def environment() -> Environment:
    """HTML is escaped, text isn't; an unknown variable is an error, never an empty word."""
    made = Environment(
        loader=FunctionLoader(lambda name: files("templates").joinpath(name).read_text("utf-8")),
        autoescape=select_autoescape(enabled_extensions=("html.j2",)),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        auto_reload=False,
    )
    made.filters["unbroken"] = unbroken
    return made


def unbroken(words: str) -> Markup:
    """Text for HTML whose hyphens end no line: a phone number in two pieces is hard to read and to dial."""
    hold = Markup('<span style="white-space:nowrap;">{}</span>').format
    return Markup(" ").join(hold(word) if "-" in word else word for word in words.split())


def email_templates() -> Iterator[tuple[str, str]]:
    """Every kind and language there is."""
    for kind in sorted(_folders(files("templates").joinpath("email"))):
        if kind != "_base":
            for locale in sorted(_folders(files("templates").joinpath(f"email/{kind}"))):
                yield kind, locale


def _folders(folder: Traversable) -> list[str]:
    return [entry.name for entry in folder.iterdir() if entry.is_dir()]


def _exists(kind: str, locale: str) -> bool:
    # Asked of the listing, never of a path: the language comes from outside.
    return (kind, locale) in set(email_templates())


def _version(kind: str, locale: str) -> str:
    digest = hashlib.sha256()
    for folder in (f"email/{kind}/{locale}", f"email/_base/{locale}"):
        for entry in sorted(files("templates").joinpath(folder).iterdir(), key=lambda entry: entry.name):
            if entry.name.endswith(".j2"):
                digest.update(f"{folder}/{entry.name}\0".encode() + entry.read_bytes() + b"\0")
    return digest.hexdigest()[:12]
