"""
Compatibility: old schema, new schema -> what breaks between them. Pure; the test brings the files.

The fixed law of a major version: whoever read the old values must be able to read the new ones, and
old values, which lie on a topic for days, must still be read by new code. So fields stay, keep
their types and values, and none becomes required; new fields are optional.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

Schema = Mapping[str, Any]

_PLAIN: Final = frozenset(
    {"description", "title", "$id", "$schema", "default", "examples", "$defs"}
)
_KNOWN: Final = frozenset(
    {
        "type", "properties", "required", "items", "anyOf", "enum", "const", "$ref",
        "additionalProperties", "format", "pattern", "minimum", "maximum", "minLength", "maxLength",
        "minItems", "maxItems",
    }
)  # fmt: skip
_BOUNDS: Final = (
    "format", "pattern", "minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems",
)  # fmt: skip


def breaking(old: Schema, new: Schema) -> list[str]:
    """Return the breaking differences, each as ``place: what``; none means a minor change."""
    return list(_differences(_Pair(old, new), old, new, "$"))


class _Pair:
    """The two documents, for the references in them; and the pairs that were compared already."""

    def __init__(self, old: Schema, new: Schema) -> None:
        self._old, self._new = old, new
        self.seen: set[tuple[str, str]] = set()

    def resolved(self, old: Schema, new: Schema) -> tuple[Schema, Schema]:
        return _resolve(old, self._old), _resolve(new, self._new)


def _resolve(schema: Schema, document: Schema) -> Schema:
    reference = schema.get("$ref")
    if reference is None:
        return schema
    found: Schema = document["$defs"][str(reference).rpartition("/")[2]]
    return found


def _differences(pair: _Pair, old: Schema, new: Schema, place: str) -> Iterator[str]:
    names = (str(old.get("$ref")), str(new.get("$ref")))
    if "$ref" in old and "$ref" in new:
        if names in pair.seen:
            return
        pair.seen.add(names)
    old, new = pair.resolved(old, new)
    if unknown := (set(old) | set(new)) - _PLAIN - _KNOWN:
        yield f"{place}: cannot compare {', '.join(sorted(unknown))}"
    if "anyOf" in old or "anyOf" in new:
        yield from _alternatives(pair, old, new, place)
        return
    if _types(old) != _types(new):
        yield f"{place}: type {_shown(_types(old))} became {_shown(_types(new))}"
        return
    yield from _values(old, new, place)
    for bound in _BOUNDS:
        if old.get(bound) != new.get(bound):
            yield f"{place}: {bound} {old.get(bound)!r} became {new.get(bound)!r}"
    yield from _inside(pair, old, new, place)


def _alternatives(pair: _Pair, old: Schema, new: Schema, place: str) -> Iterator[str]:
    """Compare two ``anyOf`` (or one and a plain schema) alternative by alternative."""
    before = [_resolve_all(pair, item, old=True) for item in old.get("anyOf", [old])]
    after = [_resolve_all(pair, item, old=False) for item in new.get("anyOf", [new])]
    kinds = {_kind(item): item for item in after}
    for item in before:
        match = kinds.pop(_kind(item), None)
        if match is None:
            yield f"{place}: {_kind(item)} is refused now"
        else:
            yield from _differences(pair, item, match, place)
    for kind in kinds:
        yield f"{place}: {kind} may come now, which old readers refuse"


def _resolve_all(pair: _Pair, schema: Schema, *, old: bool) -> Schema:
    before, after = pair.resolved(schema if old else {}, {} if old else schema)
    return before if old else after


def _kind(schema: Schema) -> str:
    if "enum" in schema or "const" in schema:
        return "enum"
    return _shown(_types(schema))


def _types(schema: Schema) -> tuple[str, ...]:
    types = schema.get("type", ())
    return (types,) if isinstance(types, str) else tuple(sorted(types))


def _shown(types: tuple[str, ...]) -> str:
    return " or ".join(types) or "anything"


def _values(old: Schema, new: Schema, place: str) -> Iterator[str]:
    if old.get("const") != new.get("const"):
        yield f"{place}: {old.get('const')!r} became {new.get('const')!r}"
    before, after = old.get("enum"), new.get("enum")
    if (before is None) != (after is None):
        yield f"{place}: a closed set was opened or an open one closed"
    for value in before or []:
        if after is not None and value not in after:
            yield f"{place}: value {value!r} was removed"
    for value in after or []:
        if before is not None and value not in before:
            yield f"{place}: value {value!r} was added, which old readers refuse"


def _inside(pair: _Pair, old: Schema, new: Schema, place: str) -> Iterator[str]:
    before, after = old.get("properties", {}), new.get("properties", {})
    for name, schema in before.items():
        if name in after:
            yield from _differences(pair, schema, after[name], f"{place}.{name}")
        else:
            yield f"{place}.{name}: was removed"
    required, was_required = set(new.get("required", ())), set(old.get("required", ()))
    for name in sorted(required - was_required):
        yield f"{place}.{name}: is required now"
    for name in sorted((was_required - required) & set(after)):
        yield f"{place}.{name}: is no longer always there"
    for inner, shown in (("items", "[]"), ("additionalProperties", ".*")):
        if isinstance(old.get(inner), Mapping) and isinstance(new.get(inner), Mapping):
            yield from _differences(pair, old[inner], new[inner], f"{place}{shown}")
        elif old.get(inner) != new.get(inner):
            yield f"{place}{shown}: {old.get(inner)!r} became {new.get(inner)!r}"
