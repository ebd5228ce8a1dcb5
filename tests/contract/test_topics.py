"""topics.yaml, the code and the published table of topics say the same."""

import copy
import json
import re
from importlib import resources

import jsonschema
import pytest
import yaml

from services.broker import KafkaSettings, topic_specs, topic_table
from tests.shared import SHARED
from uproar import topics

SCHEMAS = resources.files("schemas")
META = json.loads(SCHEMAS.joinpath("topics.schema.json").read_text("utf-8"))
TABLE = yaml.safe_load(SCHEMAS.joinpath("topics.yaml").read_text("utf-8"))
CODE = {topic.name: topic for topic in topics.ALL}
NAMES = sorted(TABLE["topics"])


def problems(table):
    return [error.message for error in jsonschema.Draft202012Validator(META).iter_errors(table)]


def test_the_table_obeys_its_schema():
    jsonschema.Draft202012Validator.check_schema(META)
    assert problems(TABLE) == []


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("topics", "uproar.posts.v1", "partitions"), 0),
        (("topics", "uproar.posts.v1", "partitions"), "4"),
        (("topics", "uproar.posts.v1", "retention"), "7 days"),
        (("topics", "uproar.posts.v1", "retention"), "forever"),
        (("topics", "uproar.posts.v1", "cleanup"), "never"),
        (("topics", "uproar.posts.v1", "readers"), []),
        (("topics", "uproar.posts.v1", "readers"), ["score", "score"]),
        (("topics", "uproar.posts.v1", "writers"), ["somebody"]),
        (("topics", "uproar.posts.v1", "schemas"), []),
        (("topics", "uproar.posts.v1", "partition"), 4),
        (("topics", "uproar.subjects.v1", "retention"), "7d"),
        (("topics", "posts"), {}),
        (("dead_letters", "cleanup"), "compact"),
        (("changelogs", "uproar-detect-watch-changelog", "partitions_of"), 4),
        (("more",), {}),
    ],
)
def test_the_schema_refuses_what_no_table_may_say(place, value):
    table = copy.deepcopy(TABLE)
    inner = table
    for name in place[:-1]:
        inner = inner[name]
    inner[place[-1]] = value
    assert problems(table)


@pytest.mark.parametrize("name", sorted(META["required"]))
def test_no_part_of_the_table_may_be_missing(name):
    assert problems({key: value for key, value in TABLE.items() if key != name})


def test_code_and_table_know_the_same_topics():
    assert sorted(CODE) == NAMES
    assert topic_table() == TABLE


@pytest.mark.parametrize("name", NAMES)
def test_a_topic_carries_what_the_table_says(name):
    written = {
        name_ for name_ in _names(CODE[name].codec) if SCHEMAS.joinpath(_file(name_)).is_file()
    }
    assert written == _names(CODE[name].codec) == set(TABLE["topics"][name]["schemas"])


def test_dead_letters_carry_dead_letters():
    assert _names(topics.DEAD_LETTER) == set(TABLE["dead_letters"]["schemas"])


@pytest.mark.parametrize("name", NAMES)
def test_topics_with_text_keep_at_most_seven_days(name):
    row = TABLE["topics"][name]
    if {"post", "assessment", "backlash"} & set(row["schemas"]):
        assert int(row["retention"].removesuffix("d")) <= 7
    assert int(TABLE["dead_letters"]["retention"].removesuffix("d")) <= 7


def test_a_changelog_has_the_partitions_of_its_topic():
    specs = topic_specs(KafkaSettings(UPROAR_KAFKA_PARTITIONS=12))
    for name, row in TABLE["changelogs"].items():
        assert specs[name].partitions == specs[row["partitions_of"]].partitions == 12


@pytest.mark.skipif(SHARED is None, reason="the interfaces (../shared) are not here")
def test_table_and_interfaces_agree():
    text = (SHARED / "reference" / "interfaces.md").read_text("utf-8")
    rows = re.findall(
        r"^\| `(uproar\.[\w.]+)` \| ([^|]+) \| ([^|]+) -> ([^|]+) \|", text, re.MULTILINE
    )
    published = {
        name: (key.split(",")[0], "compacted" in key, _rooms(writers), _rooms(readers))
        for name, key, writers, readers in rows
    }
    ours = {
        name: (row["key"], row["cleanup"] == "compact", row["writers"], row["readers"])
        for name, row in TABLE["topics"].items()
    }
    assert published == ours


def _rooms(text):
    return re.sub(r"\(.*?\)", "", text).replace(",", " ").split()


def _names(codec):
    return set(codec.types)


def _file(name):
    return f"{name}.v1.schema.json"
