"""services/classifier/train/batches.py and vocabulary.py: batches, and the pieces that stay."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("torch", reason="uproar[torch] is not installed")

from tokenizers import Tokenizer

from services.classifier.train import vocabulary
from services.classifier.train.batches import plan, thinned
from tests.unit.services.classifier.train.tiny import a_base


@given(st.lists(st.integers(0, 40), min_size=1, max_size=60), st.integers(40, 200))
def test_batches_keep_their_budget_and_rows_come_as_often_as_planned(lengths, budget):
    batches = plan(lengths, [2.0] * len(lengths), budget, np.random.default_rng(0))
    times = np.bincount([row for batch in batches for row in batch] or [0], minlength=len(lengths))
    for row, length in enumerate(lengths):
        assert (times[row] if batches else 0) == (2 if length else 0)
    assert all(len(batch) * max(lengths[row] for row in batch) <= budget for batch in batches)


def test_a_fraction_is_the_chance_to_be_seen_once_more():
    batches = plan([5] * 4000, [1.25] * 4000, 100, np.random.default_rng(0))
    assert 4900 < sum(map(len, batches)) < 5100


def test_a_run_over_its_cap_is_thinned_alike_everywhere_and_one_below_it_is_not():
    assert thinned([1, 3], [5, 5], 100).tolist() == [1, 3]
    assert thinned([1, 3], [5, 5], 2).tolist() == [0.5, 1.5]
    assert thinned([1, 3], [5, 0], 1).tolist() == [1, 3]  # the second is never drawn
    assert thinned([1, 3], [5, 5], None).tolist() == [1, 3]


def test_the_same_seed_gives_the_same_plan():
    first, second, other = (
        plan([3, 4, 5] * 50, [1.5] * 150, 30, np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    assert first == second != other


def test_a_pruned_tokenizer_cuts_kept_words_as_before_and_lost_ones_into_letters(tmp_path):
    file = a_base(tmp_path / "base") / "tokenizer.json"
    whole = Tokenizer.from_file(str(file))
    kept = vocabulary.choose(file, ["great refund great"], whole.get_vocab_size() - 12)
    pruned = Tokenizer.from_str(vocabulary.prune(file, kept))
    assert pruned.get_vocab_size() == whole.get_vocab_size() - 12
    assert pruned.encode("great refund").tokens == ["<s>", "▁great", "▁refund", "</s>"]
    assert pruned.encode("lundi").tokens == ["<s>", "▁", *"lundi", "</s>"]
    for new, old in enumerate(kept):
        assert pruned.id_to_token(new) == whole.id_to_token(old)
