"""services/classifier/{engine,train}/lexical.py: which words a post is made of, by themselves."""

import numpy as np
import pytest

from services.classifier.engine.lexical import Lexical, joined
from services.classifier.train.lexical import learn
from uproar.errors import Misconfigured

PIECES, WIDTH, SIZE = 60, 16, 8
START, END, COMMON, RARE = 0, 2, 5, 50
WORDS = np.random.default_rng(1).normal(size=(PIECES, WIDTH)).astype(np.float32)


def a_stream(count=400):
    """Posts of six words: piece 5 is in all of them, pieces above 40 in hardly any."""
    rng = np.random.default_rng(2)
    usual = [[START, COMMON, *rng.integers(6, 40, 5).tolist(), END] for _ in range(count)]
    return [*usual, *([START, COMMON, piece, END] for piece in range(40, PIECES))]


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    file = tmp_path_factory.mktemp("lexical") / "lexical.npz"
    unreadable, empty = [], [START, END]
    learn([*a_stream(), unreadable, empty], WORDS, SIZE, file)
    return file


@pytest.fixture(scope="module")
def lexical(file):
    return Lexical(WORDS, None, file)


def test_a_vector_has_its_size_and_length_one_and_hangs_on_no_neighbour(lexical):
    posts = a_stream(70)
    vectors = lexical.vectors(posts)
    assert vectors.shape == (len(posts), SIZE)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    alone = np.concatenate([lexical.vectors([post]) for post in posts])
    assert (alone == vectors).all()


def test_posts_that_share_a_rare_word_are_nearer_than_posts_that_share_common_ones(lexical):
    one, other, third = lexical.vectors(
        [
            [START, COMMON, RARE, 7, END],
            [START, RARE, 20, COMMON, END],
            [START, COMMON, 7, 20, 44, END],
        ]
    )
    assert one @ other > one @ third + 0.2


def test_what_cannot_be_read_has_no_vector_and_an_empty_post_has_one(lexical):
    nothing, empty = lexical.vectors([None, [START, END]])
    assert np.isnan(nothing).all()
    assert np.isfinite(empty).all()


def test_int8_rows_say_what_floats_say(file, lexical):
    scale = 127 / np.abs(WORDS).max(axis=1)
    rows = np.round(WORDS * scale[:, None]).astype(np.int8)
    posts = a_stream(50)
    stored = Lexical(rows, scale.astype(np.float32), file).vectors(posts)
    assert (stored * lexical.vectors(posts)).sum(axis=1).min() > 0.99


def test_both_halves_of_an_embedding_weigh_the_same():
    ones = np.array([[1, 0]], np.float32)
    np.testing.assert_allclose(joined(ones, ones), [[0.5**0.5, 0, 0.5**0.5, 0]], atol=1e-6)


@pytest.mark.parametrize("damage", ["absent", "no archive", "other vocabulary"])
def test_a_file_that_does_not_fit_is_refused_with_its_name(tmp_path, file, damage):
    words, wrong = WORDS, tmp_path / "lexical.npz"
    if damage == "no archive":
        wrong.write_bytes(b"PK\x03\x04 and nothing else")
    elif damage == "other vocabulary":
        words, wrong = WORDS[:-1], file
    with pytest.raises(Misconfigured, match=r"lexical\.npz"):
        Lexical(words, None, wrong)
