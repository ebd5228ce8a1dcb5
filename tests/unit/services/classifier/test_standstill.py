"""A move of partitions may take as long as it likes, as long as it gets on."""

from services.classifier.standstill import Standstill


def test_a_move_without_a_step_lasts_since_its_last_one():
    move = Standstill()
    assert move.lasts((7, 100), now=5, answered=True) == 0
    assert move.lasts((7, 100), now=185, answered=True) == 180
    assert move.lasts((7, 101), now=186, answered=True) == 0
    assert move.lasts((8, 101), now=187, answered=True) == 0
    assert move.lasts((8, 101), now=188, answered=True) == 1


def test_nobody_moves_while_the_broker_is_silent():
    move = Standstill()
    assert not any(move.lasts((7, 0), now=second, answered=False) for second in range(100))
    assert move.lasts((7, 0), now=105, answered=True) == 6


def test_a_move_that_is_over_does_not_count_for_the_next():
    move = Standstill()
    move.lasts((7, 0), now=0, answered=True)
    move.over()
    assert move.lasts((7, 0), now=1000, answered=True) == 0
