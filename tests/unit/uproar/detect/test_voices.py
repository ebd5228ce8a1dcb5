"""An author, and a copy, counts once in an hour."""

from uproar.detect.once import Once, Share

HOUR = 3600.0


def once(**given) -> Once:
    return Once(**{"apart": HOUR, "negative": 0.5, "most": 1000} | given)


def test_a_first_post_counts_as_negative_as_it_is():
    assert once().share(0, 1000, "a", None, 0.75) == Share(0.75, counts=True, crosses=True)


def test_a_second_post_within_the_hour_adds_nothing():
    memory = once()
    memory.share(0, 1000, "a", None, 0.75)
    assert memory.share(0, 1000 + HOUR - 1, "a", None, 0.75) == Share(0, False, False)


def test_an_author_who_was_silent_for_an_hour_counts_again():
    memory = once()
    memory.share(0, 1000, "a", None, 0.75)
    assert memory.share(0, 1000 + HOUR, "a", None, 0.75) == Share(0.75, True, True)


def test_an_author_who_turns_angry_counts_as_angry_once():
    memory = once()
    memory.share(0, 1000, "a", None, 0.25)
    assert memory.share(0, 1100, "a", None, 0.75) == Share(0.5, counts=False, crosses=True)
    assert memory.share(0, 1200, "a", None, 1.0) == Share(0.25, counts=False, crosses=False)


def test_a_copy_by_somebody_else_is_no_second_voice():
    memory = once()
    memory.share(0, 1000, "a", "text", 0.75)
    assert memory.share(0, 1100, "b", "text", 0.75) == Share(0, False, False)
    assert memory.share(0, 1200, "b", None, 0.75) == Share(0, False, False)


def test_somebody_else_with_other_words_is_a_second_voice():
    memory = once()
    memory.share(0, 1000, "a", "text", 0.75)
    assert memory.share(0, 1100, "b", "other", 0.75) == Share(0.75, True, True)


def test_the_same_author_counts_for_each_subject():
    memory = once()
    memory.share(0, 1000, "a", "text", 0.75)
    assert memory.share(1, 1000, "a", "text", 0.75) == Share(0.75, True, True)


def test_an_author_and_a_text_of_the_same_name_are_two():
    memory = once()
    memory.share(0, 1000, "text", None, 0.75)
    assert memory.share(0, 1100, "b", "text", 0.75).counts


def test_a_late_post_of_the_same_hour_adds_nothing_and_one_of_long_before_counts():
    memory = once()
    memory.share(0, 2 * HOUR, "a", None, 0.75)
    assert not memory.share(0, 2 * HOUR - 60, "a", None, 0.75).counts
    assert memory.share(0, 100, "a", None, 0.75).counts
    assert not memory.share(0, 2 * HOUR + 60, "a", None, 0.75).counts


def test_authors_of_negative_posts_are_named_once():
    memory = once()
    for at, author, negative in [(10, "old", 1), (100, "a", 1), (100, "b", 0.25), (110, "a", 1)]:
        memory.share(0, at, author, f"text of {author}", negative)
    memory.share(1, 100, "of another subject", None, 1)
    assert memory.authors(0, 50) == ["a"]


def test_what_is_too_old_is_forgotten_and_what_is_not_stays():
    memory = once()
    memory.forget(0)
    memory.share(0, 3000, "a", None, 0.75)
    memory.forget(HOUR)
    assert not memory.share(0, 4000, "a", None, 0.75).counts
    memory.forget(3 * HOUR)
    memory.forget(5 * HOUR)
    assert memory.authors(0, 0) == []


def test_memory_is_bounded():
    memory = once(most=100)
    for number in range(10_000):
        memory.share(0, float(number), f"a{number}", None, 0.75)
        memory.forget(float(number))
    assert len(memory.authors(0, 0)) <= 102


def test_a_subject_can_be_forgotten():
    memory = once()
    memory.share(0, 1000, "a", "text", 0.75)
    memory.drop(0)
    assert memory.share(0, 1100, "a", "text", 0.75).counts
