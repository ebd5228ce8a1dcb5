"""A worker with a scripted handler as a process of its own: ``python -m ... SPEC`` (JSON)."""

import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path

from services.broker import KafkaSettings
from services.classifier.handler import Effects
from services.classifier.snapshot import Keeper
from services.classifier.worker import Worker
from services.process import logs, run
from uproar.errors import Malformed, Unavailable
from uproar.wire import Record


class Scripted:
    """
    Sends every record on with how often its key was counted; the row of a key is ``offset count``.

    ``bad`` in a value is malformed; ``bug`` is a bug while the file ``bug`` is there; while the
    file ``down`` is there the world is down.
    """

    def __init__(self, out: str, directory: Path, *, keeps: bool) -> None:
        self._out, self._directory, self._keeps = out, directory, keeps
        self._rows: dict[int, dict[bytes, bytes]] = {}

    def assigned(self, partition: int, rows: Mapping[bytes, bytes], *, offsets_valid: bool) -> None:
        self._rows[partition] = dict(rows)

    def revoked(self, partition: int) -> None:
        del self._rows[partition]

    def done(self, partition: int) -> None: ...

    async def handle(self, partition: int, records: Sequence[Record]) -> Effects:
        await asyncio.sleep(0)
        if (self._directory / "down").exists():
            raise Unavailable("the file `down` is there")
        for record in records:
            if record.value is None or b"bad" in record.value:
                raise Malformed(f"bad: {record.value!r}")
            if record.value == b"bug" and (self._directory / "bug").exists():
                raise RuntimeError("the file `bug` is there")
        rows, sent = self._rows[partition], []
        for record in records:
            key = record.key or b""
            last, count = map(int, rows.get(key, b"-1 0").split())
            assert record.offset is not None
            if record.offset > last:
                count += 1
                rows[key] = b"%d %d" % (record.offset, count)
            headers = (*record.headers, ("count", b"%d" % count))
            headers = (*headers, ("from", b"%d/%d" % (partition, record.offset)))
            sent.append(Record(topic=self._out, key=key, value=record.value, headers=headers))
        changed = {record.key or b"" for record in records if self._keeps}
        return Effects(stages=[sent], rows={key: rows[key] for key in changed})

    async def tick(self, partition: int) -> Effects:
        return Effects()


async def main(stop: asyncio.Event) -> None:
    spec = json.loads(sys.argv[1])
    settings, directory = KafkaSettings.load(), Path(spec["directory"])
    logs("worker", settings)
    keeper = None
    if spec["snapshot"]:
        keeper = Keeper(
            directory / "snapshot",
            epoch=spec.get("epoch"),
            partitions=spec["partitions"],
            event_times=lambda _: {},
        )
        keeper.load()
    worker = Worker(
        name=spec["name"],
        source=spec["source"],
        dead_letters=spec["dead_letters"],
        handler=Scripted(spec["out"], Path(spec["controls"]), keeps=bool(keeper or spec["table"])),
        settings=settings,
        partitions=spec["partitions"],
        directory=directory,
        table=None if keeper else spec["table"],
        keeper=keeper,
        keep_every=timedelta(seconds=spec.get("keep_every", 300)),
        batch=spec.get("batch", 256),
    )
    await worker.run(stop)


if __name__ == "__main__":
    sys.exit(run(main))
