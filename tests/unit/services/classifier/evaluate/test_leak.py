"""services/classifier/evaluate/leak.py: nothing measured was learned from."""

from services.classifier.evaluate.leak import leaks


def test_parts_that_share_nothing_leak_nothing():
    assert leaks({"train": [("1", "one")], "test": [("2", "two")]}) == {}


def test_the_same_id_is_a_leak_though_the_text_was_changed():
    assert leaks({"train": [("1", "one")], "test": [("1", "two")]}) == {("train", "test"): ["1"]}


def test_the_same_text_is_a_leak_though_written_otherwise():
    found = leaks(
        {
            "train": [("1", "My bag is gone")],
            "validation": [("2", "something else")],
            "test": [("3", "@anna my BAG is gone!! https://t.co/x")],
        }
    )
    assert found == {("train", "test"): ["1"]}


def test_rows_without_an_id_are_told_apart_by_their_texts():
    assert leaks({"train": [("", "one")], "test": [("", "two")]}) == {}
