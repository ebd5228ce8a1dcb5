"""How fast all of Bluesky is read, judged and left out; its busiest hours bring some 500 posts a second."""

import json
import random
import time
from datetime import UTC, datetime

from services.ingest.intake import Intake, Push
from services.ingest.seen import Seen
from services.ingest.sources.bluesky import wire
from tests.bench.test_matching import ENGLISH, FRENCH
from tests.build import a_subject
from tests.shared import ROOT
from tests.unit.services.ingest.fakes import FakeBroker
from uproar.match import Matcher

BUSIEST, POSTS = 500, 20_000
NOW = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)


async def test_the_whole_network_costs_a_small_part_of_a_core(tmp_path):
    rng, broker = random.Random(7), FakeBroker()
    intake = Intake(
        seen=Seen(tmp_path), authors=Seen(tmp_path / "authors"), key=b"k", send=broker.send
    )
    watched = [a_subject("air-quillon"), a_subject("acme", name="Acme")]
    intake.watch({subject.id: subject for subject in watched}, Matcher(watched))
    frames = [_frame(rng, number) for number in range(POSTS)]

    begun = time.process_time()
    for place in range(0, POSTS, 500):
        heard = [wire.parse(raw, now=NOW) for raw in frames[place : place + 500]]
        items = [one.post for one in heard if one.post]
        trace = "00-" + "1" * 32 + "-" + "2" * 16 + "-01"
        push = Push(items=items, source="bluesky", received_at=NOW, traceparent=trace, cursor="1")
        await intake.take(push)
    rate = POSTS / (time.process_time() - begun)

    print(
        f"\nBluesky: {rate:,.0f} posts/s a core read, judged and left out "
        f"({BUSIEST / rate:.1%} of a core in its busiest hours); {len(broker.posts)} sent on"
    )
    assert 0.005 < len(broker.posts) / POSTS < 0.02
    assert rate > 5 * BUSIEST


def _frame(rng, number):
    row = (ROOT / "tests/data/bluesky/frames.jsonl").read_text("utf-8").splitlines()[0]
    frame = json.loads(row)["frame"]
    words = rng.choices(rng.choice([ENGLISH, FRENCH]), k=rng.randint(4, 40))
    if rng.random() < 0.01:
        words.insert(0, "Acme")
    frame["payload"]["rkey"] = f"r{number}"
    frame["payload"]["record"]["text"] = " ".join(words)
    return json.dumps(frame, ensure_ascii=False).encode()
