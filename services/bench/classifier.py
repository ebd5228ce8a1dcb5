"""Classifier: how fast it scores here, against the naive way and against the machine's best."""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from services.bench.rounds import Work
from services.classifier.engine import Engine
from services.classifier.engine.native.weights import read
from services.classifier.engine.tokens import Tokeniser
from services.classifier.follow import WatchList
from services.classifier.score import Score, Scorer
from uproar.post import Post, PostId
from uproar.subject import Subject, SubjectId
from uproar.topics import POSTS, SUBJECTS
from uproar.wire import Record

BATCH = 256
"""What the worker hands over at a time."""
_BENCH = Subject(id=SubjectId("bench"), name="Bench")


def distinct(engine: Engine, texts: Sequence[str], *, batch: int = BATCH) -> Work:
    """Score texts as the service does, with a memory of repeats that is empty before each round."""

    def work() -> float:
        scorer = Scorer(engine)
        for at in range(0, len(texts), batch):
            scorer.score(texts[at : at + batch])
        if scorer.problem:
            raise RuntimeError(scorer.problem)
        return len(texts)

    return work


def operations(folder: Path, texts: Sequence[str]) -> float:
    """
    Count what the int8 matrices do with the unpadded tokens of texts: two for a multiply-add.

    Attention, which is not int8, is left out: 3 % more for a post of 30 tokens.
    """
    stored = read(folder / "model.bin")
    weights = sum(array.size for name, array in stored.items() if name.endswith("/weight"))
    weights -= stored["encoder/embeddings_0/weight"].size
    ids = Tokeniser(folder / "tokenizer.json").encode(texts)
    return 2.0 * weights * sum(len(some or ()) for some in ids)


@dataclass(frozen=True, slots=True)
class Waits:
    """Seconds: of single posts in an idle service, and of the event loop while batches are scored."""

    alone_p50: float
    alone_p99: float
    loop_p99: float
    loop_worst: float


def waits(engine: Engine, texts: Sequence[str]) -> Waits:
    """Send each text alone through the score agent; then all of them, and see whether the loop waits."""
    return asyncio.run(_waits(engine, texts))


async def _waits(engine: Engine, texts: Sequence[str]) -> Waits:
    agent = _agent(engine)
    records = [_record(number, text) for number, text in enumerate(texts)]
    alone = []
    for record in records:
        began = time.perf_counter()
        await agent.handle(0, [record])
        alone.append(time.perf_counter() - began)
    agent = _agent(engine)
    late = [0.0]
    ticking = asyncio.create_task(_tick(late))
    for at in range(0, len(records), BATCH):
        await agent.handle(0, records[at : at + BATCH])
    ticking.cancel()
    p50, p99 = np.quantile(alone, [0.5, 0.99])
    return Waits(float(p50), float(p99), float(np.quantile(late, 0.99)), max(late))


def _agent(engine: Engine) -> Score:
    watch_list = WatchList()
    watch_list.follow([SUBJECTS.record(_BENCH, key=_BENCH.id)])
    watch_list.listed.set()
    return Score(Scorer(engine), watch_list=watch_list, posts_partitions=4, partitions=4)


async def _tick(late: list[float]) -> None:
    """Ask for every millisecond, and note how much later each one comes."""
    while True:
        began = time.perf_counter()
        await asyncio.sleep(0.001)
        late.append(time.perf_counter() - began - 0.001)


def _record(number: int, text: str) -> Record:
    post = Post(
        id=PostId(f"bench:{number}"),
        stream="bench",
        network="bench",
        text=text,
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        received_at=datetime(2026, 1, 1, tzinfo=UTC),
        subjects=(_BENCH.id,),
    )
    return replace(POSTS.record(post, key=post.id), offset=number, partition=0)


_CHILD = """
import json, resource, sys
from pathlib import Path
import services.classifier.app
from services.classifier.engine import load
from services.classifier.score import Scorer
texts = json.load(sys.stdin)
scorer = Scorer(load(device="cpu"))
for at in range(0, len(texts), 256):
    scorer.score(texts[at : at + 256])
status = Path("/proc/self/status")
if status.exists():  # there the other figure counts the parent as well
    print(next(row.split()[1] for row in status.read_text().splitlines() if row.startswith("VmHWM")))
else:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def memory(texts: Sequence[str]) -> int:
    """Start a process that has all of the classifier loaded, let it score, and say its most bytes."""
    done = subprocess.run(  # noqa: S603 - this interpreter, our own lines
        [sys.executable, "-c", _CHILD],
        input=json.dumps(list(texts)),
        capture_output=True,
        text=True,
        check=True,
    )
    unit = 1 if sys.platform == "darwin" else 1024
    return int(done.stdout) * unit
