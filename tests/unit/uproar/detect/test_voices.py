"""An author, and a copy, counts once in an hour."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from uproar.detect.crowd import name_of
from uproar.detect.heard import Heard
from uproar.detect.voices import Share, Voices
from uproar.detector.columns import texts_named

HOUR = 3600.0


class Said(NamedTuple):
    """A post: about whom, when, by whom, which words, how negative."""

    slot: int
    at: float
    author: str
    text: str | None
    negative: float


class One(NamedTuple):
    """What one post adds."""

    negative: float
    counts: bool
    crosses: bool


NOTHING = One(0.0, False, False)


def heard(said: Sequence[Said]) -> Heard:
    def names(values: Sequence[str | None]) -> np.ndarray:
        return np.array([0 if v is None else name_of(v) for v in values], np.uint64)

    return Heard(
        at=np.array([s.at for s in said], float),
        post=np.arange(len(said), dtype=np.uint64),
        slot=np.array([s.slot for s in said], np.int64),
        author=names([s.author for s in said]),
        copy=texts_named([s.text for s in said]),
        negative=np.array([s.negative for s in said], float),
        positive=np.zeros(len(said)),
        counted=np.zeros(len(said), bool),
        filled=np.zeros(len(said), bool),
    )


def voices(**given) -> Voices:
    return Voices(**{"apart": HOUR, "negative": 0.5, "most": 1000} | given)


def each(share: Share) -> list[One]:
    columns = share.negative.tolist(), share.counts.tolist(), share.crosses.tolist()
    return [One(*one) for one in zip(*columns, strict=True)]


def say(memory: Voices, *said: Said) -> list[One]:
    """Say posts at once."""
    return each(memory.share(heard(said)))


def one(memory: Voices, *said: object) -> One:
    """Say one post."""
    return say(memory, Said(*said))[0]


def shuffled(said: Sequence[Said], seed: int) -> list[Said]:
    return [said[place] for place in np.random.default_rng(seed).permutation(len(said))]


# ---------------------------------------------------------------------------------- once in an hour


def test_a_first_post_counts_as_negative_as_it_is():
    assert one(voices(), 0, 1000, "a", None, 0.75) == One(0.75, True, True)


def test_a_second_post_within_the_hour_adds_nothing():
    memory = voices()
    one(memory, 0, 1000, "a", None, 0.75)
    assert one(memory, 0, 1000 + HOUR - 1, "a", None, 0.75) == NOTHING


def test_an_author_who_was_silent_for_an_hour_counts_again():
    memory = voices()
    one(memory, 0, 1000, "a", None, 0.75)
    assert one(memory, 0, 1000 + HOUR, "a", None, 0.75) == One(0.75, True, True)


def test_an_author_who_does_not_pause_counts_once():
    memory = voices()
    said = [one(memory, 0, 1000 + 3000 * n, "a", None, 0.75) for n in range(9)]
    assert [share.counts for share in said] == [True] + [False] * 8


def test_an_author_who_turns_angry_counts_as_angry_once():
    memory = voices()
    one(memory, 0, 1000, "a", None, 0.25)
    assert one(memory, 0, 1100, "a", None, 0.75) == One(0.5, False, True)
    assert one(memory, 0, 1200, "a", None, 1.0) == One(0.25, False, False)


def test_a_kind_word_takes_nothing_back():
    memory = voices()
    one(memory, 0, 1000, "a", None, 0.75)
    assert one(memory, 0, 1100, "a", None, 0.0) == NOTHING


def test_a_copy_by_somebody_else_is_no_second_voice():
    memory = voices()
    one(memory, 0, 1000, "a", "text", 0.75)
    assert one(memory, 0, 1100, "b", "text", 0.75) == NOTHING
    assert one(memory, 0, 1200, "b", None, 0.75) == NOTHING


def test_a_text_that_is_copied_all_the_time_counts_once():
    memory = voices()
    said = [one(memory, 0, 60.0 * n, f"a{n}", "text", 0.75) for n in range(300)]
    assert said == [One(0.75, True, True)] + [NOTHING] * 299


def test_a_near_copy_is_no_second_voice_and_neither_is_its_near_copy():
    memory = voices()
    one(memory, 0, 1000, "a", "one.two", 0.75)
    assert one(memory, 0, 1100, "b", "three.two", 0.75) == NOTHING
    assert one(memory, 0, 1200, "c", "three.four", 0.75) == NOTHING
    assert one(memory, 0, 1300, "d", "five.six", 0.75) == One(0.75, True, True)


def test_somebody_else_with_other_words_is_a_second_voice():
    memory = voices()
    one(memory, 0, 1000, "a", "text", 0.75)
    assert one(memory, 0, 1100, "b", "other", 0.75) == One(0.75, True, True)


def test_the_same_author_counts_for_each_subject():
    memory = voices()
    one(memory, 0, 1000, "a", "text", 0.75)
    assert one(memory, 1, 1000, "a", "text", 0.75) == One(0.75, True, True)


def test_an_author_and_a_text_of_the_same_name_are_two():
    memory = voices()
    one(memory, 0, 1000, "text", None, 0.75)
    assert one(memory, 0, 1100, "b", "text", 0.75).counts


def test_a_late_post_of_the_same_hour_adds_nothing_and_one_of_long_before_counts():
    memory = voices()
    one(memory, 0, 2 * HOUR, "a", None, 0.75)
    assert not one(memory, 0, 2 * HOUR - 60, "a", None, 0.75).counts
    assert one(memory, 0, 100, "a", None, 0.75).counts
    assert not one(memory, 0, 2 * HOUR + 60, "a", None, 0.75).counts


# ----------------------------------------------------------------------------------- many at once


def test_nobody_says_nothing():
    assert say(voices()) == []


def test_strangers_count_each():
    said = [Said(n % 3, 1000 + n, f"a{n}", f"t{n}" if n % 2 else None, 0.75) for n in range(50)]
    assert say(voices(), *said) == [One(0.75, True, True)] * 50


def test_of_an_author_within_one_batch_the_first_counts_and_the_worst_is_what_he_says():
    posts = [Said(0, 1000 + n, "a", None, negative) for n, negative in enumerate((0.25, 1, 0.5))]
    assert say(voices(), *posts) == [One(0.25, True, False), One(0.75, False, True), NOTHING]


def test_of_copies_within_one_batch_the_first_counts():
    posts = [Said(0, 1000 + n, f"a{n}", "text", 0.75) for n in range(4)]
    assert say(voices(), *posts) == [One(0.75, True, True), NOTHING, NOTHING, NOTHING]


def test_one_who_copies_and_then_speaks_for_himself_within_a_batch_is_the_voice_he_copied():
    posts = [
        Said(0, 1000, "a", "text", 0.75),
        Said(0, 1001, "b", "text", 0.75),
        Said(0, 1002, "b", None, 0.75),
        Said(0, 1003, "c", None, 0.75),
    ]
    assert say(voices(), *posts) == [One(0.75, True, True), NOTHING, NOTHING, One(0.75, True, True)]


negatives = st.integers(0, 8).map(lambda n: n / 8)
posts_in_time = st.lists(
    st.builds(
        Said,
        slot=st.integers(0, 1),
        at=st.floats(0, 5 * HOUR),
        author=st.sampled_from("abcdef"),
        text=st.sampled_from([None, None, "x", "y", "z"]),
        negative=negatives,
    ),
    max_size=40,
).map(lambda said: sorted(said, key=lambda s: s.at))


@given(said=posts_in_time, data=st.data())
@settings(deadline=None)
def test_it_does_not_matter_how_posts_come_in_batches(said: list[Said], data: st.DataObject):
    whole, parts, memory = say(voices(), *said), [], voices()
    rest = list(said)
    while rest:
        length = data.draw(st.integers(1, len(rest)))
        parts += say(memory, *rest[:length])
        rest = rest[length:]
    assert parts == whole


def test_a_flood_of_copies_among_others_counts_as_if_each_post_came_alone():
    """So many that they speak one by one, behind those who wait for nobody."""
    rng = np.random.default_rng(7)
    said = [
        Said(0, 40.0 * n, f"a{rng.integers(60)}", "buy now" if n % 8 else None, float(rng.random()))
        for n in range(400)
    ]
    memory = voices()
    assert say(voices(), *said) == [one(memory, *post) for post in said]


@given(said=posts_in_time)
@settings(deadline=None)
def test_a_voice_never_says_more_than_its_worst_in_one_go(said: list[Said]):
    told = say(voices(apart=6 * HOUR), *said)
    for slot in (0, 1):
        for author in "abcdef":
            mine = [
                (post.negative, share)
                for post, share in zip(said, told, strict=True)
                if (post.slot, post.author) == (slot, author)
            ]
            assert sum(share.counts for _, share in mine) <= 1
            assert sum(share.crosses for _, share in mine) <= 1
            assert sum(share.negative for _, share in mine) <= max([0, *(n for n, _ in mine)])


def test_the_voices_of_many_batches_are_all_found_again():
    memory, rng = voices(most=10**6), np.random.default_rng(2)
    for batch in range(40):
        count = int(rng.integers(1, 400))
        new = [Said(0, 100.0 * batch, f"{batch}-{n}", None, 0.75) for n in range(count)]
        assert say(memory, *new) == [One(0.75, True, True)] * count
        assert say(memory, *shuffled(new, batch)) == [NOTHING] * count
    assert len(memory.authors(0, 0)) == len(set(memory.authors(0, 0)))
    assert say(memory, Said(0, 3000.0, "0-0", None, 0.75)) == [NOTHING]


# ----------------------------------------------------------------------------------------- memory


def test_authors_of_negative_posts_are_named_once():
    memory = voices()
    for at, author, negative in [(10, "old", 1), (100, "a", 1), (100, "b", 0.25), (110, "a", 1)]:
        one(memory, 0, at, author, f"text of {author}", negative)
    one(memory, 1, 100, "of another subject", None, 1)
    assert memory.authors(0, 50) == [name_of("a")]


def test_what_is_too_old_is_forgotten_and_what_is_not_stays():
    memory = voices(most=10**6)
    memory.forget(0)
    old = [Said(0, 3000, f"a{n}", None, 0.75) for n in range(3000)]
    say(memory, *old)
    memory.forget(HOUR)
    assert say(memory, *old) == [NOTHING] * 3000
    memory.forget(3000 + HOUR)
    assert not one(memory, 0, 3000 + HOUR - 1, "a1", None, 0.75).counts
    memory.forget(5 * HOUR)
    assert len(memory.authors(0, 0)) < 2000


def test_the_voices_of_an_hour_are_never_forgotten_while_there_is_room():
    memory, at = voices(most=10**6), 0.0
    for number in range(300):
        at = 60.0 * number
        say(memory, *[Said(0, at, f"{number}-{n}", None, 0.75) for n in range(50)])
        memory.forget(at)
        hour_ago = number - 59
        if hour_ago >= 0:
            assert not one(memory, 0, at, f"{hour_ago}-7", None, 0.75).counts


def test_memory_is_bounded():
    memory = voices(most=2000)
    for number in range(300):
        said = [Said(0, float(number), f"{number}-{n}", None, 0.75) for n in range(100)]
        say(memory, *said)
        memory.forget(float(number))
        assert len(memory.authors(0, 0)) <= 2000 * 1.2 + 1200
    assert say(memory, *said) == [NOTHING] * 100, "the newest are not forgotten"


def test_memory_is_bounded_when_all_speak_in_the_same_second():
    memory = voices(most=2000)
    for number in range(100):
        say(memory, *[Said(0, 1000.0, f"{number}-{n}", None, 0.75) for n in range(100)])
        memory.forget(1000.0)
    assert len(memory.authors(0, 0)) <= 2000 * 1.2 + 1200


# ---------------------------------------------------------------------------------------- subjects


def test_a_subject_can_be_forgotten():
    memory = voices()
    one(memory, 0, 1000, "a", "text", 0.75)
    one(memory, 1, 1000, "a", "text", 0.75)
    memory.drop(0)
    assert one(memory, 0, 1100, "a", "text", 0.75).counts
    assert not one(memory, 1, 1100, "a", "text", 0.75).counts


def test_a_subject_of_many_voices_can_be_forgotten():
    memory = voices(most=10**6)
    said = [Said(n % 2, 1000, f"a{n}", f"t{n}", 0.75) for n in range(4000)]
    say(memory, *said)
    memory.drop(0)
    assert memory.authors(0, 0) == []
    assert len(memory.authors(1, 0)) == 2000
    assert say(memory, *said[:2]) == [One(0.75, True, True), NOTHING]
