"""
Snapshot: the state of detection in one file, for a broker that keeps nothing over a restart.

It knows no Kafka client. The offsets live in it as well, so that they always fit the rows.
"""

import asyncio
import hashlib
import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import structlog

from services.classifier.metrics import SNAPSHOT_TIMESTAMP

log = structlog.get_logger(room="classifier/snapshot")

_VERSION = 1
_MAGIC = f"uproar-snapshot {_VERSION} ".encode()


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """
    One consistent moment of detection.

    Attributes:
        epoch: Which life of the broker the offsets belong to; None where it lives for ever.
        partitions: How many partitions the assessments had.
        rows: The kept state, keyed ``<partition>/<key>``.
        offsets: Where reading goes on, per partition; what stands before is in ``rows``.
        event_times: From when on each source must be read again if the broker lost its posts.
        written_at: Wall clock.
    """

    epoch: str | None
    partitions: int
    rows: dict[bytes, bytes]
    offsets: dict[int, int]
    event_times: dict[str, datetime]
    written_at: datetime


def write(path: Path, snapshot: Snapshot) -> None:
    """Write a snapshot so that a crash leaves this one or the one before; that is kept as well."""
    body = msgspec.msgpack.encode(snapshot)
    checksum = hashlib.sha256(body).hexdigest().encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    with new.open("wb") as file:
        file.write(_MAGIC + checksum + b"\n" + body)
        file.flush()
        os.fsync(file.fileno())
    if path.exists():
        path.replace(_previous(path))
    new.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def read(path: Path) -> Snapshot | None:
    """Return the newest snapshot that is whole; None when there is none. Says which it refused."""
    for candidate in (path, _previous(path)):
        try:
            raw = candidate.read_bytes()
        except FileNotFoundError:
            continue
        except OSError as error:
            log.warning("cannot read the snapshot", path=str(candidate), reason=str(error))
            continue
        if (snapshot := _parse(candidate, raw)) is not None:
            return snapshot
    return None


def _parse(path: Path, raw: bytes) -> Snapshot | None:
    head, _, body = raw.partition(b"\n")
    reason = "its checksum is wrong: it was cut or changed"
    if not head.startswith(_MAGIC):
        reason = f"it is no snapshot of version {_VERSION}"
    elif hashlib.sha256(body).hexdigest().encode() == head.removeprefix(_MAGIC):
        try:
            return msgspec.msgpack.decode(body, type=Snapshot)
        except msgspec.DecodeError as error:
            reason = str(error)
    log.warning("snapshot refused, trying the one before", path=str(path), reason=reason)
    return None


def _previous(path: Path) -> Path:
    return path.with_suffix(".previous")


class Keeper:
    """
    The rows and offsets of one process, in memory, and their snapshot on disk.

    ``land`` changes both at once, so that a snapshot is consistent whenever it is taken.

    Attributes:
        strange: Partitions whose rows still bear the offsets of another broker. What lands first
            must be all of their rows, with new ones.
    """

    def __init__(
        self,
        path: Path,
        *,
        epoch: str | None,
        partitions: int,
        event_times: Callable[[Mapping[bytes, bytes]], dict[str, datetime]] = lambda _: {},
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.rows: dict[bytes, bytes] = {}
        self.offsets: dict[int, int] = {}
        self.strange: set[int] = set()
        self._path, self._epoch, self._partitions = path, epoch, partitions
        self._event_times, self._now = event_times, now
        self._writing, self._changed = asyncio.Lock(), False

    def load(self) -> None:
        """Begin where the newest snapshot ends; with a new broker its offsets mean nothing."""
        if (snapshot := read(self._path)) is None:
            log.info("no snapshot: detection starts without a memory", path=str(self._path))
            return
        if snapshot.partitions != self._partitions:
            log.warning(
                "the snapshot is of another number of partitions: starting without it",
                was=snapshot.partitions,
                now=self._partitions,
            )
            return
        self.rows = dict(snapshot.rows)
        if snapshot.epoch == self._epoch:
            self.offsets = dict(snapshot.offsets)
        else:
            self.strange = set(range(self._partitions))
        log.info(
            "snapshot read",
            rows=len(self.rows),
            written_at=snapshot.written_at.isoformat(),
            broker="new" if self.strange else "the same",
        )

    def land(self, partition: int, rows: Mapping[bytes, bytes], offset: int) -> None:
        """Keep what a batch changed, and from where on reading goes on."""
        self.rows.update({b"%d/%s" % (partition, key): row for key, row in rows.items()})
        self.offsets[partition] = offset
        self.strange.discard(partition)
        self._changed = True

    async def save(self) -> None:
        """Write a snapshot if anything landed since the last one; a full disk is only logged."""
        async with self._writing:
            if not self._changed:
                return
            self._changed = False
            moment = self._now()
            snapshot = Snapshot(
                epoch=self._epoch,
                partitions=self._partitions,
                rows=dict(self.rows),
                offsets=dict(self.offsets),
                event_times=self._event_times(self.rows),
                written_at=moment,
            )
            try:
                await asyncio.to_thread(write, self._path, snapshot)
            except OSError as error:
                self._changed = True
                log.error("snapshot not written", path=str(self._path), reason=str(error))
                return
        SNAPSHOT_TIMESTAMP.labels(self._path.name).set(moment.timestamp())

    def of(self, partition: int) -> dict[bytes, bytes]:
        """Return the rows of a partition."""
        prefix = b"%d/" % partition
        rows = self.rows.items()
        return {key.removeprefix(prefix): row for key, row in rows if key.startswith(prefix)}
