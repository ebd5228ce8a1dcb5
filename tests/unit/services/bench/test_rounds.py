"""services/bench/rounds.py: what is compared is run in turn."""

from services.bench.rounds import interleaved, ratio


def test_each_is_warmed_up_and_run_once_a_round_and_nobody_is_always_first():
    ran = []

    def work(name):
        def run():
            ran.append(name)
            return 100.0

        return run

    rates = interleaved({"a": work("a"), "b": work("b")}, range(3))
    assert ran == ["a", "b", "a", "b", "b", "a", "a", "b"]
    assert {name: len(each) for name, each in rates.items()} == {"a": 3, "b": 3}
    assert all(rate > 0 for each in rates.values() for rate in each)


def test_a_ratio_is_taken_within_each_round():
    assert ratio([10.0, 20.0, 90.0], [1.0, 2.0, 3.0]) == 10.0
