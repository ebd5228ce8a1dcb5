"""services/bench/texts.py: distinct posts, the same every time."""

import json

import pytest

from services.bench import texts
from uproar.errors import Malformed


def test_made_posts_are_distinct_and_the_same_every_time():
    posts = texts.made(500)
    assert len(set(posts)) == 500
    assert posts == texts.made(500)
    assert posts != texts.made(500, seed=8)


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5])
def test_a_share_of_repeats_is_that_share_and_as_many_posts(share):
    posts = texts.made(400)
    mixed = texts.with_repeats(posts, share)
    assert len(mixed) == 400
    assert len(mixed) - len(set(mixed)) == 400 * share


def test_recorded_texts_are_taken_once_each(tmp_path):
    file = tmp_path / "posts.jsonl"
    file.write_text("".join(json.dumps({"text": text}) + "\n" for text in ("a", "b", "a", "c")))
    assert texts.recorded(file, 3) == ["a", "b", "c"]
    with pytest.raises(Malformed, match="3 distinct texts, 4 are needed"):
        texts.recorded(file, 4)


@pytest.mark.parametrize("line", ["{", "[]", '{"id": 1}', "7"])
def test_a_line_without_a_text_is_named(tmp_path, line):
    file = tmp_path / "posts.jsonl"
    file.write_text('{"text": "a"}\n' + line)
    with pytest.raises(Malformed, match=r"posts\.jsonl:2"):
        texts.recorded(file, 2)
