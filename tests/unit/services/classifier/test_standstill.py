"""A move of partitions may take as long as it likes, as long as it gets on."""

from services.classifier.standstill import Standstill


def test_a_move_without_a_step_is_a_halt_after_the_patience():
    move = Standstill(patience=180)
    assert not move.halted((7, 100), now=0, answered=True)
    assert not move.halted((7, 100), now=180, answered=True)
    assert move.halted((7, 100), now=181, answered=True)


def test_every_step_begins_the_patience_anew():
    move = Standstill(patience=10)
    for second in range(100):
        assert not move.halted((7, second // 9), now=second, answered=True)
    assert move.halted((7, 11), now=110, answered=True)


def test_nobody_moves_while_the_broker_is_silent():
    move = Standstill(patience=10)
    for second in range(100):
        assert not move.halted((7, 0), now=second, answered=False)
    assert not move.halted((7, 0), now=105, answered=True)
    assert move.halted((7, 0), now=110, answered=True)


def test_a_move_that_is_over_does_not_count_for_the_next():
    move = Standstill(patience=10)
    move.halted((7, 0), now=0, answered=True)
    move.over()
    assert not move.halted((7, 0), now=1000, answered=True)
