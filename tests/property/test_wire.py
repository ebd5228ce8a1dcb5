"""What is written can be read, for every value; what is no value is Malformed and nothing else."""

import json
from datetime import UTC, datetime, timedelta, timezone
from enum import Enum
from typing import get_args, get_origin, get_type_hints

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import generate
from tests import build
from uproar import topics
from uproar.assessment import Scores
from uproar.errors import Malformed
from uproar.subject import Kind, Subject
from uproar.wire import DeadLetter, Record, dead_letter

CODECS = {name: topic.codec for topic in topics.ALL for name in topic.codec.types} | {
    "dead-letter": topics.DEAD_LETTER
}
ZONES = [UTC, timezone(timedelta(hours=-9, minutes=-30)), timezone(timedelta(hours=14))]
LEAVES = {
    str: st.text(st.characters(exclude_categories=["Cs"]), max_size=30),
    int: st.integers(-(2**63), 2**63 - 1),
    float: st.floats(allow_nan=False, allow_infinity=False),
    bool: st.booleans(),
    type(None): st.none(),
    datetime: st.datetimes(
        datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=st.sampled_from(ZONES)
    ),
    # Scores are probabilities, or a record is malformed.
    Scores: st.builds(
        Scores,
        **{
            name: st.floats(0, 1) if hint is float else st.none() | st.floats(0, 1)
            for name, hint in get_type_hints(Scores).items()
        },
    ),
    # A subject obeys rules of its own: an id of few signs, a name, a budget, a purpose.
    Subject: st.builds(
        build.a_subject,
        st.text("abc-_.9é", min_size=1, max_size=20),
        name=st.text("xyz ", min_size=1).filter(str.strip),
        kind=st.sampled_from(list(Kind)),
        purpose=st.just("why"),
        aliases=st.lists(st.text("ab é"), max_size=3).map(tuple),
        budget=st.sampled_from(["1/month", "2/week", "0.5/year"]),
    ),
}


def values(hint):
    """Return a strategy for what a type hint allows; hypothesis' own registry stays as it is."""
    hint = getattr(hint, "__supertype__", hint)
    if hint in LEAVES:
        return LEAVES[hint]
    inner = [values(part) for part in get_args(hint) if part is not Ellipsis]
    if get_origin(hint) is tuple:
        return st.lists(inner[0], max_size=3).map(tuple)
    if get_origin(hint) is dict:
        return st.dictionaries(*inner, max_size=3)
    if inner:
        return st.one_of(inner)
    if issubclass(hint, Enum):
        return st.sampled_from(list(hint))
    return st.builds(hint, **{name: values(part) for name, part in get_type_hints(hint).items()})


VALUES = {name: values(type_) for name, type_ in generate.TYPES.items()}


@pytest.mark.parametrize("name", sorted(CODECS))
@settings(max_examples=40)
@given(data=st.data())
def test_a_value_comes_back_as_it_went(name, data):
    value = data.draw(VALUES[name])
    raw = CODECS[name].encode(value)
    assert CODECS[name].decode(raw) == value
    assert CODECS[name].encode(CODECS[name].decode(raw)) == raw


@pytest.mark.parametrize("name", sorted(CODECS))
@settings(max_examples=40)
@given(data=st.data())
def test_the_schema_accepts_every_value(name, data):
    raw = CODECS[name].encode(data.draw(VALUES[name]))
    assert VALIDATORS[name].is_valid(json.loads(raw))


VALIDATORS = {
    name: jsonschema.Draft202012Validator(json.loads(generate.file_of(name).read_text("utf-8")))
    for name in CODECS
}


# ------------------------------------------------------------------------------- hostile bytes


def read(codec, raw):
    try:
        return codec.decode(raw)
    except Malformed as error:
        if not str(error):
            raise AssertionError("no reason") from error
        return None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_value_or_malformed(raw):
    for codec in CODECS.values():
        assert read(codec, raw) is None


@pytest.mark.parametrize("name", sorted(CODECS))
@settings(max_examples=40)
@given(data=st.data())
def test_a_damaged_value_is_a_value_or_malformed(name, data):
    codec = CODECS[name]
    raw = bytearray(codec.encode(SAMPLES[name]))
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    whole = (
        bytes(raw[: data.draw(st.integers(0, len(raw)))])
        if data.draw(st.booleans())
        else bytes(raw)
    )
    value = read(codec, whole)
    if value is not None:
        assert codec.decode(codec.encode(value)) == value


@pytest.mark.parametrize("name", sorted(CODECS))
@settings(max_examples=40)
@given(data=st.data())
def test_a_field_of_another_type_is_a_value_or_malformed(name, data):
    codec = CODECS[name]
    document = json.loads(codec.encode(SAMPLES[name]))
    field = data.draw(st.sampled_from(sorted(document)))
    document[field] = data.draw(JSON)
    value = read(codec, json.dumps(document).encode())
    if value is not None:
        assert codec.decode(codec.encode(value)) == value


@given(st.none() | st.binary(max_size=2000), st.text(max_size=2000))
def test_whatever_cannot_be_read_can_be_buried(value, reason):
    letter = dead_letter(Record(topic="t", value=value), reason, at=build.NOON)
    assert len(letter.beginning) <= 200
    assert topics.DEAD_LETTER.decode(topics.DEAD_LETTER.encode(letter)) == letter


SAMPLES = {
    "assessment": build.an_assessment(),
    "backlash": build.a_backlash(),
    "dead-letter": DeadLetter(
        origin="t/0/1", reason="no", sha256="0", size=1, beginning="x", at=build.NOON
    ),
    "deletion": build.a_deletion(),
    "post": build.a_post(),
    "reading": build.a_reading(),
    "source": build.a_source_state(),
    "subject": build.a_subject(),
    "watermark": build.a_watermark(),
}
