"""Reference: /docs, what an OpenAPI document says to people. No script, nothing from elsewhere."""

import base64
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from html import escape
from itertools import groupby
from typing import Any, Final

from fastapi import FastAPI
from fastapi.responses import HTMLResponse

_STYLE: Final = """
:root {
  color-scheme: light dark;
  --ground: #f6f6f4; --paper: #fff; --ink: #1b1b1f; --quiet: #63636b; --edge: #dfdfda; --accent: #1f5fbf;
}
@media (prefers-color-scheme: dark) {
  :root { --ground: #131316; --paper: #1d1d22; --ink: #ececf0; --quiet: #a0a0aa; --edge: #33333b; --accent: #7fb2ff; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 56rem; margin: 0 auto; padding: 1rem 1rem 4rem; }
a { color: var(--accent); }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin: 1.6rem 0 .4rem; } h3 { font-size: .95rem; margin: .8rem 0 .2rem; }
p { margin: .4rem 0; } code, pre { font: .875rem/1.45 ui-monospace, monospace; }
details { margin: 0 0 .5rem; padding: .5rem .8rem; background: var(--paper); border: 1px solid var(--edge); border-radius: .6rem; }
summary { cursor: pointer; overflow-wrap: anywhere; }
.verb { display: inline-block; min-width: 4.2rem; font-weight: 700; color: var(--accent); text-transform: uppercase; }
.quiet { color: var(--quiet); font-size: .875rem; }
pre { overflow-x: auto; padding: .6rem .8rem; background: var(--ground); border-radius: .5rem; }
table { width: 100%; border-collapse: collapse; font-size: .9rem; }
td { vertical-align: top; padding: .3rem .6rem .3rem 0; border-top: 1px solid var(--edge); overflow-wrap: anywhere; }
td:first-child { white-space: nowrap; } td p { margin: 0; }
"""

_DIGEST: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_DIGEST}'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_LIMITS: Final = ("minimum", "maximum", "minLength", "maxLength", "maxItems", "pattern", "default")
_DEEPEST: Final = 8
_INSTEAD: Final = {"integer": 1, "number": 0.5, "boolean": True, "null": None}
_MOMENT: Final = "2026-01-31T09:00:00Z"

Schema = Mapping[str, Any]


def add_reference(app: FastAPI) -> None:
    """Give an application /docs, made of its own OpenAPI document; switch FastAPI's own off."""

    async def docs() -> HTMLResponse:
        return HTMLResponse(page(app.openapi()), headers=dict(HEADERS))

    app.add_api_route("/docs", docs, methods=["GET"], include_in_schema=False)


def page(document: Mapping[str, Any]) -> str:
    """Return the page of an OpenAPI document."""
    info = document["info"]
    found = sorted(_operations(document), key=lambda one: one[0])
    title = f"{escape(info['title'])}: API"
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width">',
        f"<title>{title}</title><style>{_STYLE}</style></head><body><main>",
        f"<h1>{title}</h1>{_text(info.get('description'))}",
        '<p class="quiet"><a href="/openapi.json">openapi.json</a> says the same to programs.</p>',
    ]
    for tag, operations in groupby(found, key=lambda one: one[0]):
        parts.append(f"<h2>{escape(tag)}</h2>")
        parts += [html for _, html in operations]
    if schemas := document.get("components", {}).get("schemas", {}):
        parts.append("<h2>Shapes</h2>")
        parts += [_shape(name, schema) for name, schema in sorted(schemas.items())]
    return "".join([*parts, "</main></body></html>\n"])


def _operations(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the first tag of each operation, and how it is shown."""
    for path, verbs in document["paths"].items():
        for verb, operation in verbs.items():
            tag = (operation.get("tags") or ["other"])[0]
            yield tag, _operation(document, verb, path, operation)


def _operation(document: Mapping[str, Any], verb: str, path: str, operation: Schema) -> str:
    key = ' <span class="quiet">wants a key</span>' if operation.get("security") else ""
    said = [
        f'<details><summary><span class="verb">{escape(verb)}</span> <code>{escape(path)}</code>',
        f"{key}</summary>{_text(operation.get('description'))}",
    ]
    if parameters := operation.get("parameters"):
        rows = [
            _row(
                one["name"],
                _type(one.get("schema", {})),
                one.get("description") or one.get("schema", {}).get("description"),
                needed=one.get("required", False),
                where=one["in"],
            )
            for one in parameters
        ]
        said.append(f"<h3>Parameters</h3><table>{''.join(rows)}</table>")
    for media, body in operation.get("requestBody", {}).get("content", {}).items():
        schema = body.get("schema", {})
        said.append(f"<h3>Body: {escape(media)}</h3><p>{_type(schema)}</p>{_fields(schema)}")
        example = _example(document, schema)
        if not isinstance(example, str):
            written = json.dumps(example, indent=2, ensure_ascii=False)
            said.append(f"<pre>{escape(written)}</pre>")
    answers = [
        _row(status, _contents(answer), answer.get("description"))
        for status, answer in operation.get("responses", {}).items()
    ]
    return "".join([*said, f"<h3>Answers</h3><table>{''.join(answers)}</table></details>"])


def _contents(answer: Schema) -> str:
    return "<br>".join(
        f"{escape(media)}: {_type(content['schema'])}" if content.get("schema") else escape(media)
        for media, content in answer.get("content", {}).items()
    )


def _shape(name: str, schema: Schema) -> str:
    return (
        f'<details id="{escape(name)}"><summary><code>{escape(name)}</code></summary>'
        f"{_text(schema.get('description'))}{_fields(schema) or _type(schema)}</details>"
    )


def _fields(schema: Schema) -> str:
    """Show the fields of an object, or of the first object among which one may choose."""
    for one in (schema, *schema.get("oneOf", ())):
        if properties := one.get("properties"):
            needed = one.get("required", ())
            rows = [
                _row(name, _type(field), field.get("description"), needed=name in needed)
                for name, field in properties.items()
            ]
            return f"<table>{''.join(rows)}</table>"
    return ""


def _row(
    name: str, kind: str, description: str | None, *, needed: bool = False, where: str = ""
) -> str:
    notes = ", ".join([*([where] if where else []), *(["required"] if needed else [])])
    return (
        f'<tr><td><code>{escape(name)}</code><br><span class="quiet">{escape(notes)}</span></td>'
        f"<td>{kind}</td><td>{_text(description)}</td></tr>"
    )


def _type(schema: Schema) -> str:
    """Say in a few words what a value may be, as HTML."""
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f'<a href="#{name}">{name}</a>'
    if choices := schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf"):
        kind = " or ".join(dict.fromkeys(_type(one) for one in choices))
    elif "enum" in schema or "const" in schema:
        values = schema.get("enum") or [schema["const"]]
        kind = " | ".join(f"<code>{escape(str(value))}</code>" for value in values)
    elif schema.get("type") == "array":
        kind = f"list of {_type(schema.get('items', {}))}"
    else:
        named = schema.get("type", "anything")
        kind = escape(" or ".join(named) if isinstance(named, list) else named)
    details = [schema["format"]] if "format" in schema else []
    details += [f"{limit} {_plain(schema[limit])}" for limit in _LIMITS if limit in schema]
    return f'{kind} <span class="quiet">{escape(", ".join(details))}</span>' if details else kind


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _example(document: Mapping[str, Any], schema: Schema, depth: int = 0) -> Any:
    """Make a value that the schema allows, of the examples that it gives."""
    for given in _given(schema):
        return given
    if inner := _inner(document, schema):
        return _example(document, inner, depth + 1) if depth < _DEEPEST else None
    kind = schema.get("type")
    if kind == "object":
        fields = schema.get("properties", {}).items()
        return {name: _example(document, field, depth) for name, field in fields}
    if kind == "array":
        return [_example(document, schema.get("items", {}), depth)]
    if isinstance(kind, str) and kind in _INSTEAD:
        return schema.get("minimum", _INSTEAD[kind])
    return _MOMENT if schema.get("format") == "date-time" else "..."


def _given(schema: Schema) -> Iterator[Any]:
    """Yield the values that a schema names itself, those that show most first."""
    for name in ("example", "examples", "default", "const", "enum"):
        if name in schema:
            yield from schema[name] if name in {"examples", "enum"} else [schema[name]]


def _inner(document: Mapping[str, Any], schema: Schema) -> Schema | None:
    """Return what a schema stands for: the one that it names, or the first of its choices."""
    if "$ref" in schema:
        named: Schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        return named
    choices = schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf")
    return choices[0] if choices else None


def _text(text: str | None) -> str:
    """Turn the little Markdown of docstrings into paragraphs."""
    if not text:
        return ""
    html = re.sub(r"(`{1,2})(.+?)\1", r"<code>\2</code>", escape(text), flags=re.DOTALL)
    return "".join(f"<p>{part}</p>" for part in html.split("\n\n"))
