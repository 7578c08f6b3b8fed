"""Whether what an old schema accepted is still accepted: the rule inside a major version.

``jsonsubschema`` judges; both sides are closed, so that a field that went away is seen. What it ignores or can't judge
is refused, never passed: ``format`` is turned into a pattern of its own, and any other keyword it doesn't know has to
stand unchanged at the same place.
"""

import warnings
from collections.abc import Iterator, Mapping
from typing import Any

with warnings.catch_warnings():  # its source has invalid escapes, which Python says whenever it compiles them anew
    warnings.simplefilter("ignore")
    from jsonsubschema import isSubschema

Schema = Mapping[str, Any]
Path = tuple[str, ...]

_SILENT = {"$schema", "$id", "$defs", "title", "description", "default", "examples", "deprecated"}
_JUDGED = {
    "type", "enum", "pattern", "minLength", "maxLength", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum",
    "multipleOf", "items", "minItems", "maxItems", "uniqueItems", "properties", "required", "additionalProperties",
    "anyOf", "minProperties", "maxProperties",
}  # fmt: skip


def incompatibilities(old: Schema, new: Schema) -> list[str]:
    """Why ``new`` doesn't accept all that ``old`` did; empty when it does.

    Where a definition contains itself each model is judged on its own, and where it is referred to its name stands for
    it: if each of them accepts what it did as long as the others do, all of them do.
    """
    before, after = old.get("$defs", {}), new.get("$defs", {})
    named = _models(before) | _models(after) if _recurs(before) or _recurs(after) else frozenset()
    found = _differences(_plain(old, before, named), _plain(new, after, named))
    for name in sorted(named & before.keys() & after.keys()):
        inner = _differences(_plain(before[name], before, named), _plain(after[name], after, named))
        found += [f"{name}.{each}" for each in inner]
    return found


def _differences(was: Schema, now: Schema) -> list[str]:
    return [] if was == now else [*_unjudged(was, now)] or [*_refused(was, now, ())]


def _recurs(defs: Schema) -> bool:
    """Whether a definition contains itself, directly or through others."""
    direct = {name: frozenset(_names(each)) for name, each in defs.items()}
    reached = dict(direct)
    for _ in direct:
        reached = {name: its.union(*(reached[each] for each in its)) for name, its in reached.items()}
    return any(name in its for name, its in reached.items())


def _models(defs: Schema) -> frozenset[str]:
    return frozenset(name for name, each in defs.items() if each.get("type") == "object")


def _names(node: Any) -> Iterator[str]:
    """Of the definitions a schema refers to."""
    if isinstance(node, Mapping):
        if "$ref" in node:
            yield node["$ref"].rpartition("/")[2]
        node = list(node.values())
    if isinstance(node, list):
        for each in node:
            yield from _names(each)


def _plain(node: Schema, defs: Schema, named: frozenset[str]) -> dict[str, Any]:
    """References resolved, annotations dropped, ``const`` and ``format`` in words that ``jsonsubschema`` knows."""
    if "$ref" in node:
        beside = {key: value for key, value in node.items() if key != "$ref"}
        name = node["$ref"].rpartition("/")[2]
        target = {"type": "string", "pattern": f"^{name}$"} if name in named else defs[name]
        return _plain({**target, **beside}, defs, named)
    plain = {key: value for key, value in node.items() if key not in _SILENT}
    if "oneOf" in plain:
        plain["anyOf"] = plain.pop("oneOf")  # the members of a union of models exclude each other
    for key in ("items", "additionalProperties"):
        if isinstance(plain.get(key), Mapping):
            plain[key] = _plain(plain[key], defs, named)
    if "properties" in plain:
        plain["properties"] = {name: _plain(each, defs, named) for name, each in plain["properties"].items()}
    if "anyOf" in plain:
        plain["anyOf"] = [_plain(each, defs, named) for each in plain["anyOf"]]
    if plain.get("required") == []:
        del plain["required"]  # what draft 4 forbids and later drafts take for nothing
    if "const" in plain:
        plain["enum"] = [plain.pop("const")]
    if "format" in plain and "pattern" not in plain and not {"minLength", "maxLength"} & plain.keys():
        plain["pattern"] = f"^{plain.pop('format')}:.*$"
    return plain


def _unjudged(old: Schema, new: Schema) -> Iterator[str]:
    """Keywords nobody judges, wherever both schemas have the place; a new property may bring its own."""
    before, after = dict(_places(old, ())), dict(_places(new, ()))
    for path in sorted(before.keys() | after.keys()):
        if before.get(path, {}) != after.get(path, {}) and (path in before or not _is_in_a_new_property(path, before)):
            words = sorted({*before.get(path, {}), *after.get(path, {})})
            yield f"{_name(path)}: {', '.join(words)} differs, and whether that is compatible can't be judged"


def _places(node: Schema, path: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    yield path, {key: value for key, value in node.items() if key not in _JUDGED}
    for step, child in _children(node):
        yield from _places(child, (*path, step))


def _children(node: Schema) -> Iterator[tuple[str, Schema]]:
    yield from ((f".{name}", child) for name, child in node.get("properties", {}).items())
    yield from ((f"|{index}", child) for index, child in enumerate(node.get("anyOf", [])))
    yield from (
        (f"[{key}]", node[key]) for key in ("items", "additionalProperties") if isinstance(node.get(key), Mapping)
    )


def _is_in_a_new_property(path: Path, before: Mapping[Path, Any]) -> bool:
    missing = next(step for end, step in enumerate(path, 1) if path[:end] not in before)
    return missing.startswith(".")


def _refused(old: Schema, new: Schema, path: Path) -> Iterator[str]:
    if old == new:
        return
    if reasons := [*_of_object(old, new, path)]:  # quicker than to judge the whole, and what people need to read
        yield from reasons
        return
    try:
        if isSubschema(dict(old), dict(new)):
            return
    except Exception as error:  # it raises anything; not being able to tell is a no
        yield f"{_name(path)}: can't be judged ({type(error).__name__})"
        return
    inner = [reason for step, was, now in _pairs(old, new) for reason in _refused(was, now, (*path, step))]
    yield from inner or [f"{_name(path)}: no longer accepts all that it did"]


def _pairs(old: Schema, new: Schema) -> Iterator[tuple[str, Schema, Schema]]:
    """What stands in both at the same place."""
    theirs = dict(_children(new))
    yield from ((step, child, theirs[step]) for step, child in _children(old) if step in theirs)


def _of_object(old: Schema, new: Schema, path: Path) -> Iterator[str]:
    """An object accepts less as soon as one of its properties does."""
    if not old.get("type") == new.get("type") == "object":
        return
    for step, was, now in _pairs(old, new):
        if step.startswith("."):
            yield from _refused(was, now, (*path, step))
    for name in sorted(old.get("properties", {}).keys() - new.get("properties", {}).keys()):
        yield f"{_name((*path, f'.{name}'))}: is gone"
    for name in sorted(set(new.get("required", [])) - set(old.get("required", []))):
        yield f"{_name((*path, f'.{name}'))}: has become required"


def _name(path: Path) -> str:
    return "".join(path).lstrip(".") or "the whole"
