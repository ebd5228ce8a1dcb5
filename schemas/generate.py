"""
Generate: types of ``uproar/`` -> ``<name>.v1.schema.json``. Not incident, written by hand.

``python -m schemas.generate`` writes them; tests/contract/test_schemas.py fails where they differ.
``--release`` then copies all schemas to ``released/``: with a new version of uproar, and only then,
since these are what nothing may break any more.
"""

import json
import re
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from inspect import getdoc
from pathlib import Path
from typing import Any, Final, get_args, get_type_hints

import msgspec

from uproar.assessment import Assessment
from uproar.backlash import Backlash
from uproar.post import Deletion, Post
from uproar.reading import Reading
from uproar.subject import Subject
from uproar.watermark import SourceState, Watermark
from uproar.wire import DeadLetter, has_fields

FOLDER: Final = Path(__file__).resolve().parent
RELEASED: Final = FOLDER / "released"
VERSION: Final = 1

TYPES: Final[Mapping[str, type]] = {
    "assessment": Assessment,
    "backlash": Backlash,
    "dead-letter": DeadLetter,
    "deletion": Deletion,
    "post": Post,
    "reading": Reading,
    "source": SourceState,
    "subject": Subject,
    "watermark": Watermark,
}
"""The name that stands in ``schema`` of a value, and its type."""

_ZONE = r"([Zz]|[+-]\d\d:\d\d)$"


def schema(name: str) -> dict[str, Any]:
    """Return the JSON Schema of a value as it stands on a topic, the envelope included."""
    type_ = TYPES[name]
    (_,), components = msgspec.json.schema_components([type_], ref_template="#/$defs/{name}")
    for component in components.values():
        component.pop("title", None)
        component.pop("description", None)
    for found in _objects(type_):
        _describe(components[found.__name__], found)
    own = components.pop(type_.__name__)
    envelope = {
        "schema": {"const": name, "description": "Name of this schema."},
        "version": {"const": VERSION, "description": "Major version of this schema."},
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"{name}.v{VERSION}.schema.json",
        "title": type_.__name__,
        **own,
        "properties": envelope | own["properties"],
        "required": ["schema", "version", *own.get("required", [])],
        **({"$defs": components} if components else {}),
    }


def file_of(name: str) -> Path:
    """Return where the schema of a name is kept."""
    return FOLDER / f"{name}.v{VERSION}.schema.json"


def written(document: Mapping[str, Any]) -> str:
    """Return the text of a schema file."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _objects(type_: type) -> list[type]:
    """Return a type and all objects that its fields hold, directly or in rows and unions."""
    found = [type_]
    for hint in get_type_hints(type_).values():
        for inner in (hint, *get_args(hint)):
            if has_fields(inner):
                found += _objects(inner)
    return found


def _describe(component: dict[str, Any], type_: type) -> None:
    """Put the docstring where readers of the schema look for it, and say what is a time."""
    summary, attributes = _docstring(getdoc(type_) or "")
    component["description"] = summary
    for name, hint in get_type_hints(type_).items():
        field = component["properties"][name]
        if hint is datetime:
            field |= {"format": "date-time", "pattern": _ZONE}
        elif datetime in get_args(hint):
            field["anyOf"][0] |= {"format": "date-time", "pattern": _ZONE}
        if name in attributes:
            field["description"] = attributes[name]


def _docstring(text: str) -> tuple[str, dict[str, str]]:
    """Return what stands before ``Attributes:``, and the sentence of each attribute."""
    summary, _, rest = text.partition("\nAttributes:\n")
    attributes: dict[str, str] = {}
    name = ""
    for line in rest.splitlines():
        if match := re.match(r" {4}(\w+): (.*)", line):
            name, attributes[match[1]] = match[1], match[2]
        elif line.strip() and name:
            attributes[name] += f" {line.strip()}"
    return _plain(summary), {name: _plain(line) for name, line in attributes.items()}


def _plain(text: str) -> str:
    text = re.sub(r":\w+:`~?([\w.]+)`", r"\1", text).replace("``", "`")
    return " ".join(text.split())


def main(arguments: Sequence[str]) -> int:
    """Write every schema file, and with ``--release`` the released ones; returns the exit code."""
    for name in TYPES:
        file_of(name).write_text(written(schema(name)), encoding="utf-8")
    if "--release" in arguments:
        for path in FOLDER.glob("*.v*.schema.json"):
            (RELEASED / path.name).write_text(path.read_text("utf-8"), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
