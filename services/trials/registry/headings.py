"""Headings of eligibility texts: which line says that inclusions or exclusions begin. Text before any is inclusion.

"Non-inclusion criteria" are exclusions; "eligibility criteria" count as inclusions. A sentence that only speaks of
criteria ("patients not meeting the inclusion criteria") is no heading.
"""

import re
from dataclasses import dataclass

from schemas.criteria import Kind

_KIND = r"(?P<kind>(?:non[ -]?)?inclusion(?:ary)?|exclusion(?:ary)?|(?:in)?eligibility)"
_CRITERIA = r"cr[ie]t[a-z]{2,6}"  # with its usual misspellings
_QUALIFIER = (
    r"(?:key|main|major|primary|general|specific|additional|other|common|overall|study|trial|protocol|patients?|subjects?"
    r"|participants?|donors?|controls?|healthy|volunteers?|cohorts?|groups?|parts?|phase|stage|arm|intra-?operative"
    r"|pre-?operative|post-?operative|screening|clinical|radio(?:graphic|logical)|mri|[ivx]+|[a-d]|\d{1,2})"
)
_END = r"(?P<end>[*_ ]*(?:[:：.;]|[-–—]+(?= |$))?[*_ ]*)"
_HINT = re.compile("nclusion|xclusion|ligibility", re.IGNORECASE)  # most lines are none: tell them quickly
_LONG = 150
_MARKED = re.compile("[:：–—-]")
_SPOKEN = re.compile(r" (?:are|is|were|will be|includ|compris)", re.IGNORECASE)
_SHAPES = tuple(
    re.compile(rf"[*_#]*[ ]?{shape}(?P<rest>.*)", re.IGNORECASE | re.DOTALL)
    for shape in (
        # "Key Inclusion Criteria:", "Exclusion criteria for all groups: …", "Inclusion criteria are"
        rf"(?:{_QUALIFIER}[ ,:/-]+){{0,4}}{_KIND} {_CRITERIA}\b"
        r"(?P<tail> (?:for|of|in) [^:.]{1,60}(?=:|$)| ?\([^()]{1,60}\)(?=[*_ ]*(?::|$))| [^:.,;]{1,30}(?=:)"
        rf"| (?:are|is|were|will be|includes?|included|comprise)\b(?: (?:the following|as follows))?)?{_END}",
        rf"(?:{_CRITERIA} )?for {_KIND}\b{_END}",
        rf"{_KIND}s?\b{_END}",
    )
)
_GLUED = re.compile(r"(?<=[\w.;,)] )(?=(?:Inclusion|Exclusion|INCLUSION|EXCLUSION) (?:Criteria|criteria|CRITERIA) ?:)")
_ALL_QUALIFIERS = re.compile(rf"(?:\W|{_QUALIFIER}\b)*", re.IGNORECASE)

_EXCLUDING = re.compile(
    r"\b(?:exclud(?:e|es|ed|ing)|exclusions?|ineligible)\b"
    r"|\b(?:not|cannot|never)\b.{0,30}?\b(?:eligible|includ|inclusion|enrol|participat|admit)",
    re.IGNORECASE,
)
_INCLUDING = re.compile(r"\beligible (?:if|for|when)\b|\binclusion criteria\b", re.IGNORECASE)
_WHOLE = re.compile(r"\b(?:any|all)\b.*\bcriteria\b", re.IGNORECASE)
_COUNTED = re.compile(r"\d|\b(?:at least|at most|two|three|four|five|more than)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Heading:
    """``rest`` is what stands on the same line and belongs to no heading."""

    kind: Kind
    text: str
    rest: str


def read_heading(line: str, *, bullet: bool) -> Heading | None:
    """The heading that a line (single spaces, no marker) begins with. A bullet must be nothing else or have a colon."""
    if _HINT.search(line[:_LONG]) is None:
        return None
    for shape in _SHAPES:
        found = shape.match(line)
        if found is None or not _is_heading(found, bullet):
            continue
        at = found.start("rest")
        return Heading(_kind(found["kind"]), line[:at].strip(), line[at:].strip())
    return None


def cut_at_headings(line: str) -> list[str]:
    """A line, cut before each heading that was glued to its end."""
    parts: list[str] = []
    for part in _GLUED.split(line):
        if parts and len(parts[-1]) < _LONG and _ALL_QUALIFIERS.fullmatch(parts[-1]):  # "Key Exclusion Criteria:"
            parts[-1] += part
        else:
            parts.append(part)
    return parts


def kind_of_intro(intro: str, before: Kind) -> Kind:
    """What the list under a sentence such as "Patients are excluded if:" holds; else what was before."""
    if _EXCLUDING.search(intro):
        return Kind.EXCLUSION
    return Kind.INCLUSION if _INCLUDING.search(intro) else before


def says_only_kind(intro: str) -> bool:
    """Whether a list means the same without this sentence, once its kind is known: any exclusion, or all inclusions."""
    words = "any" if _EXCLUDING.search(intro) else "all" if _INCLUDING.search(intro) else None
    whole = _WHOLE.search(intro)
    return whole is not None and whole[0][:3].lower() == words and not _COUNTED.search(intro)


def _is_heading(found: re.Match[str], bullet: bool) -> bool:
    tail = found.groupdict().get("tail") or ""
    if _MARKED.search(found["end"]):
        return True
    if not found["rest"]:
        return not (bullet and tail)
    return not bullet and _SPOKEN.match(tail) is not None


def _kind(word: str) -> Kind:
    return Kind.INCLUSION if word.lower().startswith(("incl", "elig")) else Kind.EXCLUSION
