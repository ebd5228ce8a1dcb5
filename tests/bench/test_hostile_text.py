"""What hostile texts cost, against a batch of plain ones: none of them stalls the posts beside it."""

import time

from services.classifier.engine import load
from tests.hostile import HOSTILE, PLAIN

BATCH = 256


def test_no_text_costs_more_than_a_batch_of_plain_ones():
    engine = load(threads=1)
    plain = _seconds(lambda: engine.score([PLAIN] * BATCH))
    cost = {kind: _seconds(lambda t=text: engine.score([t])) for kind, text in HOSTILE.items()}
    worst = max(cost, key=cost.__getitem__)
    a_post = plain / BATCH
    print(f"\nhostile text: at worst {cost[worst] / a_post:,.0f} plain posts ({worst})")
    assert cost[worst] < plain


def _seconds(work):
    times = []
    for _ in range(5):
        began = time.process_time()
        work()
        times.append(time.process_time() - began)
    return min(times)
