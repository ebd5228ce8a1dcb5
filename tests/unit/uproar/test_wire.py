"""Values and bytes: what is written can be read, and what cannot be read says why."""

import hashlib
import json

import pytest

from tests.build import NOON, a_backlash, a_post, a_subject, a_watermark, some_evidence
from uproar.errors import Malformed
from uproar.post import Post
from uproar.topics import BACKLASH, POSTS, SUBJECTS
from uproar.watermark import Watermark
from uproar.wire import MAX_VALUE_BYTES, Codec, Record, dead_letter

CODEC = Codec({"post": Post, "watermark": Watermark})


def changed(**changes):
    value = json.loads(CODEC.encode(a_post())) | changes
    return json.dumps({name: field for name, field in value.items() if field is not ...}).encode()


def test_a_value_begins_with_its_schema_and_version():
    assert CODEC.encode(a_post()).startswith(b'{"schema":"post","version":1,"id":"push:1",')
    assert json.loads(CODEC.encode(a_watermark()))["schema"] == "watermark"


def test_each_type_comes_back_as_itself():
    assert CODEC.decode(CODEC.encode(a_post())) == a_post()
    assert CODEC.decode(CODEC.encode(a_watermark())) == a_watermark()


def test_keys_of_a_newer_writer_are_ignored():
    assert CODEC.decode(changed(mood={"angry": [1]})) == a_post()


def test_a_missing_optional_field_has_its_default():
    assert CODEC.decode(changed(lang=..., media=...)) == a_post()


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (None, "empty value"),
        (b"", "truncated"),
        (b"\xff\xfe", "malformed"),
        (b"null", "Expected `object`"),
        (b"[]", "Expected `object`"),
        (b"{}", "schema '' version 0: this topic carries post.v1, watermark.v1"),
        (b'{"schema":"post","version":1}', "missing required field `id`"),
        (b'{"schema":"post","version":1,"id":"a"', "truncated"),
        (b'{"schema":7}', "Expected `str`"),
        (changed(schema="subject"), "schema 'subject' version 1"),
        (changed(version=2), "schema 'post' version 2"),
        (changed(id=...), "missing required field `id`"),
        (changed(text=None), r"Expected `str`, got `null` - at `\$.text`"),
        (changed(views="many"), r"\$.views"),
        (changed(media=["hologram"]), r"\$.media"),
        (changed(created_at="yesterday"), "RFC3339"),
        (changed(created_at="2026-03-02T12:00:00"), r"time zone - at `\$.created_at`"),
        (changed(received_at="2026-03-02T12:00:00"), r"time zone - at `\$.received_at`"),
        (changed().replace(b'"push:1"', b'"\\ud800"'), "hex escape"),
        (b" " * (MAX_VALUE_BYTES + 1), "more than 1048576"),
        (b'{"a":' + b"[" * 200_000, "recursion"),
    ],
)
def test_what_cannot_be_read_says_why(raw, said):
    with pytest.raises(Malformed, match=said):
        CODEC.decode(raw)


def test_a_time_without_zone_is_found_inside_of_rows():
    event = a_backlash(evidence=(some_evidence(created_at=NOON.replace(tzinfo=None)),))
    with pytest.raises(Malformed, match=r"\$.evidence\[...\].created_at"):
        BACKLASH.codec.decode(BACKLASH.codec.encode(event))


def test_rules_of_a_type_hold_on_the_wire_too():
    raw = SUBJECTS.codec.encode(a_subject()).replace(b'"brand"', b'"person"')
    with pytest.raises(Malformed, match="say in 'purpose'"):
        SUBJECTS.codec.decode(raw)


def test_a_codec_writes_only_what_it_can_read():
    with pytest.raises(KeyError):
        CODEC.encode(a_subject())


# ------------------------------------------------------------------------------------- records


def test_a_record_finds_its_first_header_of_a_name():
    record = Record(topic="t", value=b"", headers=(("a", b"1"), ("b", b"2"), ("a", b"3")))
    assert (record.header("a"), record.header("b"), record.header("c")) == (b"1", b"2", None)


def test_a_dead_letter_says_where_it_was_and_keeps_200_characters():
    value = ("é" * 1000).encode()
    record = Record(topic="t", value=value, partition=3, offset=9)
    letter = dead_letter(record, "r" * 5000, at=NOON)
    assert letter.origin == "t/3/9"
    assert letter.beginning == "é" * 200
    assert len(letter.reason) == 1000
    assert (letter.size, letter.sha256) == (2000, hashlib.sha256(value).hexdigest())


@pytest.mark.parametrize("value", [None, b"", b"\xff\xfe\x00", "😡".encode() * 300])
def test_any_value_can_be_buried(value):
    letter = dead_letter(Record(topic="t", value=value), "why", at=NOON)
    assert len(letter.beginning) <= 200
    assert letter.size == len(value or b"")


def test_topics_and_codecs_fit():
    record = POSTS.record(a_post(), key="push:1", headers=(("h", b"x"),), partition=2)
    assert POSTS.decode(record) == a_post()
    assert (record.topic, record.key, record.partition) == ("uproar.posts.v1", b"push:1", 2)
