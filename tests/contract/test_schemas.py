"""The schemas say what the code reads and writes, and break no reader of a released version."""

import copy
import json
from pathlib import Path

import jsonschema
import pytest

from schemas import generate
from schemas.compatibility import breaking
from tests import build
from tests.outbox import a_delivery
from tests.shared import ROOT
from uproar import topics
from uproar.errors import Malformed
from uproar.wire import DeadLetter

FOLDER = ROOT / "schemas"
EXAMPLES = FOLDER / "examples"
CODECS = {name: topic.codec for topic in topics.ALL for name in topic.codec.types} | {
    "dead-letter": topics.DEAD_LETTER
}
NAMES = sorted([*CODECS, "incident"])
VALID = sorted(EXAMPLES.glob("*/*.json"))
INVALID = sorted(EXAMPLES.glob("*/invalid/*.json"))


def schema(name, folder=FOLDER):
    return json.loads((folder / f"{name}.v1.schema.json").read_text("utf-8"))


def accepts(name, value):
    return jsonschema.Draft202012Validator(schema(name)).is_valid(value)


def label(path):
    return str(path.relative_to(EXAMPLES)).removesuffix(".json")


# ------------------------------------------------------------------------ schemas and the code


def test_every_type_on_a_topic_has_a_schema_and_nothing_else_has():
    assert {path.name for path in FOLDER.glob("*.v*.schema.json")} == {
        f"{name}.v1.schema.json" for name in NAMES
    }
    assert dict(generate.TYPES) == {name: CODECS[name].types[name] for name in CODECS}


@pytest.mark.parametrize("name", NAMES)
def test_every_schema_is_one(name):
    jsonschema.Draft202012Validator.check_schema(schema(name))


@pytest.mark.parametrize("name", sorted(CODECS))
def test_the_committed_schema_is_the_generated_one(name):
    committed = generate.file_of(name).read_text("utf-8")
    assert committed == generate.written(generate.schema(name)), (
        "the type has changed: run `python -m schemas.generate` and commit what it writes"
    )


def test_docstrings_become_descriptions():
    post = generate.schema("post")
    assert post["description"] == "One public message."
    assert post["properties"]["cut"]["description"] == "The text was longer and has been cut."
    assert "`network:id`" in post["properties"]["id"]["description"]


@pytest.mark.parametrize(
    "value",
    [
        build.a_post(),
        build.an_assessment(),
        build.an_assessment(negative=None),
        build.a_watermark(partition=1, partitions=4),
        build.a_source_state(),
        build.a_backlash(),
        build.a_reading(),
        build.a_subject(),
        build.a_deletion(),
        DeadLetter(origin="t/0/1", reason="no", sha256="0", size=1, beginning="x", at=build.NOON),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_the_code_writes_the_schema_accepts(value):
    (name,) = (name for name, type_ in generate.TYPES.items() if type_ is type(value))
    assert accepts(name, json.loads(CODECS[name].encode(value)))


# ------------------------------------------------------------------------------------ examples


@pytest.mark.parametrize("name", NAMES)
def test_every_schema_has_valid_and_invalid_examples(name):
    assert len([path for path in VALID if path.parent.name == name]) >= 2
    assert len([path for path in INVALID if path.parent.parent.name == name]) >= 2


def test_every_example_belongs_to_a_schema():
    assert {label(path).split("/")[0] for path in VALID + INVALID} == set(NAMES)


@pytest.mark.parametrize("path", VALID, ids=label)
def test_a_valid_example_is_accepted_by_schema_and_code(path):
    name, raw = path.parent.name, path.read_bytes()
    validator = jsonschema.Draft202012Validator(schema(name))
    assert [error.message for error in validator.iter_errors(json.loads(raw))] == []
    if name in CODECS:
        value = CODECS[name].decode(raw)
        assert type(value) is generate.TYPES[name]
        assert CODECS[name].decode(CODECS[name].encode(value)) == value


@pytest.mark.parametrize("path", INVALID, ids=label)
def test_an_invalid_example_is_refused_by_schema_and_code(path):
    """``*.codec.json`` breaks a rule that a JSON Schema cannot say: only the code refuses it."""
    name, raw = path.parent.parent.name, path.read_bytes()
    assert accepts(name, json.loads(raw)) is path.name.endswith(".codec.json")
    if name in CODECS:
        with pytest.raises(Malformed):
            CODECS[name].decode(raw)


# ------------------------------------------------------------------------------- compatibility


def test_every_released_schema_still_exists():
    released = {path.name for path in (FOLDER / "released").glob("*.json")}
    assert released
    assert released <= {path.name for path in FOLDER.glob("*.json")}


@pytest.mark.parametrize(
    "path", sorted((FOLDER / "released").glob("*.json")), ids=lambda path: path.stem
)
def test_no_schema_breaks_a_reader_of_the_released_one(path: Path):
    old = json.loads(path.read_text("utf-8"))
    new = json.loads((FOLDER / path.name).read_text("utf-8"))
    assert breaking(old, new) == [], "make it additive, or a new major version"


OLD = {
    "type": "object",
    "properties": {
        "id": {"type": "string"},
        "score": {"anyOf": [{"type": "number"}, {"type": "null"}], "default": None},
        "kind": {"$ref": "#/$defs/Kind"},
        "version": {"const": 1},
        "parts": {"type": "object", "additionalProperties": {"type": "number"}},
        "items": {"type": "array", "items": {"$ref": "#/$defs/Item"}, "maxItems": 8},
    },
    "required": ["id"],
    "$defs": {
        "Kind": {"enum": ["brand", "person"]},
        "Item": {
            "type": "object",
            "properties": {"at": {"type": "string", "format": "date-time"}},
            "required": ["at"],
        },
    },
}


def changed(change):
    new = copy.deepcopy(OLD)
    change(new)
    return new


def _set(place, value):
    def change(document):
        *way, last = place.split("/")
        for name in way:
            document = document[name]
        if value is None:
            del document[last]
        else:
            document[last] = value

    return change


@pytest.mark.parametrize(
    "change",
    [
        _set("description", "new words"),
        _set("properties/id/description", "new words"),
        _set("properties/extra", {"type": "string"}),
        _set("$defs/Item/properties/more", {"type": "integer"}),
        _set("$defs/Unused", {"type": "string"}),
        _set("properties/score/default", 0.5),
        lambda new: new["properties"]["score"]["anyOf"].reverse(),
        lambda new: new["$defs"]["Kind"]["enum"].reverse(),
    ],
)
def test_an_additive_change_breaks_nothing(change):
    assert changed(change) != OLD
    assert breaking(OLD, changed(change)) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_set("properties/id", None), "$.id: was removed"),
        (_set("properties/id/type", "integer"), "$.id: type string became integer"),
        (_set("required", ["id", "kind"]), "$.kind: is required now"),
        (_set("required", []), "$.id: is no longer always there"),
        (_set("properties/version/const", 2), "$.version: 1 became 2"),
        (_set("properties/score", {"type": "number"}), "$.score: null is refused now"),
        (_set("properties/score/anyOf", [{"type": "null"}]), "$.score: number is refused now"),
        (
            _set("properties/id", {"anyOf": [{"type": "string"}, {"type": "null"}]}),
            "$.id: null may come now, which old readers refuse",
        ),
        (_set("$defs/Kind/enum", ["brand"]), "$.kind: value 'person' was removed"),
        (
            _set("$defs/Kind/enum", ["brand", "person", "place"]),
            "$.kind: value 'place' was added, which old readers refuse",
        ),
        (_set("$defs/Kind", {"type": "string"}), "$.kind: type anything became string"),
        (
            _set("properties/parts/additionalProperties", {"type": "string"}),
            "$.parts.*: type number became string",
        ),
        (_set("properties/parts/additionalProperties", False), "$.parts.*: "),
        (_set("properties/items/maxItems", 4), "$.items: maxItems 8 became 4"),
        (_set("$defs/Item/properties/at", None), "$.items[].at: was removed"),
        (_set("$defs/Item/required", None), "$.items[].at: is no longer always there"),
        (
            _set("$defs/Item/properties/at/format", "date"),
            "$.items[].at: format 'date-time' became 'date'",
        ),
        (_set("properties/id/oneOf", []), "$.id: cannot compare oneOf"),
    ],
)
def test_a_breaking_change_is_named(change, said):
    assert any(line.startswith(said) for line in breaking(OLD, changed(change))), breaking(
        OLD, changed(change)
    )


def test_a_schema_that_holds_itself_is_compared_once():
    tree = {
        "$ref": "#/$defs/Node",
        "$defs": {
            "Node": {
                "type": "object",
                "properties": {"next": {"$ref": "#/$defs/Node"}, "id": {"type": "string"}},
            }
        },
    }
    other = copy.deepcopy(tree)
    del other["$defs"]["Node"]["properties"]["id"]
    assert breaking(tree, tree) == []
    assert breaking(tree, other) == ["$.id: was removed"]


# --------------------------------------------------------------- incidents over REST, webhooks


def test_what_the_api_says_of_an_incident_is_one():
    incidents = pytest.importorskip("services.alerter.api.incidents")
    example = json.loads((EXAMPLES / "incident" / "open.json").read_text("utf-8"))
    row = example | {
        "state": "open",
        "peak_severity": 60,
        "happened_at": build.NOON,
        "created_at": build.NOON,
        "acknowledged_by": None,
        "resolved_by": None,
    }
    shown = incidents.Incident.model_validate(row)
    validator = jsonschema.Draft202012Validator(schema("incident"))
    assert [e.message for e in validator.iter_errors(shown.model_dump(mode="json"))] == []


def test_what_a_webhook_is_told_of_an_incident_is_one():
    webhook = pytest.importorskip("services.alerter.notifiers.webhook")
    data = json.loads(json.dumps(webhook.render(a_delivery())))["data"]
    validator = jsonschema.Draft202012Validator(schema("incident"))
    assert [e.message for e in validator.iter_errors(data)] == []
    assert data["status"] in schema("incident")["properties"]["status"]["enum"]
