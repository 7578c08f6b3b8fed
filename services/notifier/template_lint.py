"""What a template may say to whom, checked before it is published and without any patient.

Outside ``{% if tier == 1 %}`` a body may use neutral variables only; a subject, a preheader and a calendar entry, which
are the same at both tiers, may use no others at all. A mail loads nothing from elsewhere.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from jinja2 import meta, nodes

from services.notifier.digest_mail import DIGEST
from services.notifier.digest_mail import VARIABLES as DIGEST_VARIABLES
from services.notifier.template_set import email_templates, environment
from services.notifier.variables import VARIABLES, Class

_BODIES = ("body.txt.j2", "body.html.j2")
_HEADS = ("subject.txt.j2", "preheader.txt.j2")
_MADE_BY_RENDER = {"subject", "preheader"}
_OF_DIGESTS = {*DIGEST_VARIABLES, *_MADE_BY_RENDER}
_NEUTRAL = {name for name, variable in VARIABLES.items() if variable.class_ is Class.NEUTRAL}
_DIGEST = f"email/{DIGEST}/"
_LOADS = re.compile(r"<img|<link|<script|@import|url\(|\ssrc=", re.IGNORECASE)


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """What is wrong with which template (its name below ``templates/``)."""

    template: str
    problem: str


def lint_templates() -> tuple[Finding, ...]:
    """Everything wrong with the mail templates, sorted; empty when they may be published."""
    return tuple(finding for name in _published() for finding in lint_template(name, _source(name)))


def lint_template(name: str, source: str) -> list[Finding]:
    """Everything wrong with one template and what it includes; only a body may ask for the tier."""
    if name.startswith(_DIGEST):
        return _findings(name, source, [f"{used} is unknown" for used in sorted(_used(source) - _OF_DIGESTS)])
    at_tier_0 = _used(source, pruned=name.rpartition("/")[2] in _BODIES)
    problems = [f"{used} isn't neutral" for used in sorted(at_tier_0 & set(VARIABLES) - _NEUTRAL)]
    problems += [f"{used} is unknown" for used in sorted(_used(source) - set(VARIABLES) - _MADE_BY_RENDER)]
    return _findings(name, source, problems)


def _findings(name: str, source: str, problems: list[str]) -> list[Finding]:
    loads = ["loads something from elsewhere"] if _LOADS.search(source) else []
    return [Finding(name, problem) for problem in problems + loads]


def _published() -> Iterator[str]:
    for kind, locale in email_templates():
        yield from (f"email/{kind}/{locale}/{part}" for part in _HEADS + _BODIES)
    for locale in sorted({locale for _, locale in email_templates()}):
        yield f"email/_base/{locale}/calendar.txt.j2"


def _source(name: str) -> str:
    loader = environment().loader
    assert loader  # noqa: S101  # ours always has one
    return loader.get_source(environment(), name)[0]


def _used(source: str, *, pruned: bool = False) -> set[str]:
    """Names of the variables a template and its includes use; ``pruned``: without what only tier 1 reaches."""
    tree = environment().parse(source)
    if pruned:
        _prune(tree)
    used = meta.find_undeclared_variables(tree)
    for included in meta.find_referenced_templates(tree):
        if included is None:
            raise ValueError("an include must name its template")
        used |= _used(_source(included), pruned=pruned)
    return used


def _prune(tree: nodes.Template) -> None:
    for branch in tree.find_all(nodes.If):
        if _asks_tier_1(branch.test):
            branch.body = []
    for both in tree.find_all(nodes.And):
        if _asks_tier_1(both.left):
            both.right = nodes.Const(False)


def _asks_tier_1(test: nodes.Node) -> bool:
    """``tier == 1``, alone or first in a row of ``and``."""
    if isinstance(test, nodes.And):
        return _asks_tier_1(test.left)
    return test == nodes.Compare(nodes.Name("tier", "load"), [nodes.Operand("eq", nodes.Const(1))])
