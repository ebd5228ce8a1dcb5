"""The names of the topics, what they carry, and their dead letters."""

import pytest

from tests.build import (
    NOON,
    a_backlash,
    a_deletion,
    a_post,
    a_reading,
    a_source_state,
    a_subject,
    a_watermark,
    an_assessment,
)
from uproar import topics
from uproar.errors import Malformed
from uproar.wire import Record, dead_letter

CARRIED = [
    (topics.POSTS, a_post()),
    (topics.POSTS, a_watermark()),
    (topics.ASSESSMENTS, an_assessment()),
    (topics.ASSESSMENTS, a_watermark(partition=0, partitions=4)),
    (topics.BACKLASH, a_backlash()),
    (topics.READINGS, a_reading()),
    (topics.SUBJECTS, a_subject()),
    (topics.SOURCES, a_source_state()),
    (topics.DELETIONS, a_deletion()),
]


@pytest.mark.parametrize(("topic", "value"), CARRIED)
def test_a_topic_carries_its_values(topic, value):
    assert topic.decode(topic.record(value, key="k")) == value


def test_a_record_without_key_or_partition_leaves_both_to_the_client():
    record = topics.POSTS.record(a_watermark(), key=None)
    assert (record.key, record.partition, record.offset, record.headers) == (None, None, None, ())


def test_a_tombstone_has_a_key_and_no_value():
    record = topics.SUBJECTS.record(None, key="air-quillon")
    assert (record.value, record.key) == (None, b"air-quillon")
    with pytest.raises(Malformed, match="empty value"):
        topics.SUBJECTS.decode(record)


def test_names_are_one_pattern_and_dead_letters_hang_on_them():
    names = [topic.name for topic in topics.ALL]
    assert len(set(names)) == len(names) == 7
    assert all(name.startswith("uproar.") and name.endswith(".v1") for name in names)
    assert topics.POSTS.dead_letters == "uproar.posts.v1.dlq"


def test_a_dead_letter_can_be_read_again():
    letter = dead_letter(Record(topic="t", value=b"x"), "why", at=NOON)
    assert topics.DEAD_LETTER.decode(topics.DEAD_LETTER.encode(letter)) == letter
