"""Run: one stream through the whole product, and beside it what `uproar backtest` says of it."""

import json
import os
import subprocess
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec
from kafka import KafkaConsumer, TopicPartition

from tests.broker import FORGETS, Address, broker
from tests.e2e.house import UPROAR, House, end_of, house
from uproar.backlash import Backlash
from uproar.topics import BACKLASH
from uproar.wire import Record

KEY = {"UPROAR_PSEUDONYM_KEY": "replays"}
"""So that both call an author the same."""
PATIENCE = 3600.0
KEPT = {"UPROAR_CLASSIFIER_SNAPSHOT": "true", "UPROAR_KAFKA_EPOCH": "one"}
"""How the classifier keeps what it knows beside a broker that forgets."""


class Told(msgspec.Struct, frozen=True):
    """
    A backlash event, as it is compared: whole, of its evidence only which posts and why.

    Attributes:
        fields: As JSON, by name.
    """

    fields: dict[str, str]

    @property
    def id(self) -> str:
        """The event's id."""
        return str(json.loads(self.fields["id"]))

    def event(self) -> Backlash:
        """Return the event without its evidence."""
        plain = {name: json.loads(value) for name, value in self.fields.items()}
        return msgspec.convert(plain | {"evidence": []}, Backlash, strict=False)


def told(event: Mapping[str, Any]) -> Told:
    """Return how an event is compared, from its JSON."""
    evidence = [{"id": one["id"], "why": one["why"]} for one in event.get("evidence", ())]
    plain = {**event, "evidence": evidence}
    return Told({name: json.dumps(value, sort_keys=True) for name, value in plain.items()})


def backtest(file: Path, watch: Path) -> list[Told]:
    """Return what `uproar backtest` writes, of evidence only the ids."""
    command = [*UPROAR, "backtest", "--posts", str(file), "--watch", str(watch), "--json"]
    env = {name: value for name, value in os.environ.items() if "UPROAR" not in name} | KEY
    done = subprocess.run(command, env=env, cwd=file.parent, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    *events, _summary = map(json.loads, done.stdout.splitlines())
    return [told(event) for event in events]


def product(
    file: Path, watch: Path, folder: Path, *, partitions: int, speed: float | None
) -> tuple[list[Told], float]:
    """Return what the product tells of a file, and how many seconds it took."""
    posts = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    settings = {"UPROAR_WATCH": str(watch), "UPROAR_KAFKA_PARTITIONS": str(partitions), **KEY}
    options = () if speed is None else ("--speed", str(speed))
    with broker() as address:
        settings |= address.environment | (KEPT if FORGETS else {})
        with house(folder, patience=PATIENCE, **settings) as home:
            began = time.monotonic()
            home.replay(file, *options)
            home.wait_until_judged(end_of(posts))
            seconds = time.monotonic() - began
            wanted = {event.id for event in _events(address)}
            home.wait("the alerter to hear all", lambda: _known(home) >= wanted)
            known = _known(home)
            assert home.stop() == 0
        events = list(_events(address))
    assert {event.id for event in events} == known, "the alerter knows others than were sent"
    return events, seconds


def _known(home: House) -> set[str]:
    return {event for event, _ in home.events()}


def _events(address: Address) -> Iterator[Told]:
    for value in records(address, BACKLASH.name):
        event = BACKLASH.decode(Record(topic=BACKLASH.name, value=value))
        yield told(json.loads(msgspec.json.encode(event)))


def records(address: Address, topic: str) -> Iterator[bytes]:
    """Yield the values of a topic of one partition, from its beginning to its end."""
    consumer = KafkaConsumer(**address.kafka_python, group_id=None)
    try:
        place = TopicPartition(topic, 0)
        consumer.assign([place])
        consumer.seek_to_beginning(place)
        quiet = 0
        while quiet < 4:  # a second; the embedded broker does not know where a topic ends
            batches = consumer.poll(timeout_ms=250)
            quiet = 0 if batches else quiet + 1
            yield from (message.value for message in chain(*batches.values()))
    finally:
        consumer.close(timeout_ms=1000)


def differences(expected: Sequence[Told], got: Sequence[Told]) -> list[str]:
    """Say what differs, event by event; nothing where all are the same."""
    said = [f"{_of(event.fields)}: told twice" for event in _repeated(got)]
    wanted, found = ({event.id: event.fields for event in events} for events in (expected, got))
    said += [f"{_of(wanted[e])}: missing" for e in wanted.keys() - found.keys()]
    said += [f"{_of(found[e])}: the back-test has it not" for e in found.keys() - wanted.keys()]
    for event in wanted.keys() & found.keys():
        one, other = wanted[event], found[event]
        names = [n for n in one | other if one.get(n) != other.get(n)]
        said += [f"{_of(one)}: {n} is {other.get(n)}, not {one.get(n)}" for n in names]
    order = [event.id for event in expected]
    if not said and order != [event.id for event in got]:
        said.append("the events came in another order")
    return sorted(said)


def _repeated(events: Sequence[Told]) -> list[Told]:
    seen = Counter(event.id for event in events)
    return [event for event in {e.id: e for e in events}.values() if seen[event.id] > 1]


def _of(fields: Mapping[str, str]) -> str:
    at = datetime.fromisoformat(json.loads(fields["at"]))
    return f"{at:%Y-%m-%d %H:%M} {json.loads(fields['event'])}"
