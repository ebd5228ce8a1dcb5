"""Records that no schema allows, in every topic: buried with a reason, and the story is paged as ever."""

import hashlib
import re
from collections import defaultdict
from pathlib import Path

import httpx
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from services.demo.story import WATCH
from tests.broker import Address, a_broker
from tests.e2e.house import House, backtest, end_of, house, short_story, write
from tests.hostile import RECORDS
from uproar.topics import ALL, DEAD_LETTER, SUBJECTS
from uproar.wire import DeadLetter

SERVICES = ("ingest", "classifier", "alerter")
MEGABYTE = 1024 * 1024


def test_records_that_no_schema_allows(tmp_path: Path) -> None:
    posts = short_story(seed=5)
    file = write(tmp_path / "story.jsonl", posts)
    expected = {(event.id, event.page) for event in backtest(file)}
    assert any(page for _, page in expected)
    broker = a_broker()
    try:
        broker.start()
        settings = {"UPROAR_WATCH": str(WATCH)} | broker.address.environment
        with house(tmp_path, **settings) as home:
            processes = {name: home.process_of(name) for name in SERVICES}
            memory = {name: most_memory(pid) for name, pid in processes.items()}
            spoil(broker.address)
            home.replay(file)
            spoil(broker.address)
            home.wait_until_judged(end_of(posts))
            home.wait("all events to arrive", lambda: home.events() >= expected)

            assert home.events() == expected
            assert {name: home.process_of(name) for name in SERVICES} == processes
            home.wait("all to be well", lambda: well(home))
            buried_are_told(home, broker.address)
            for name, pid in processes.items():
                assert most_memory(pid) - memory[name] < 200 * MEGABYTE, name
    finally:
        broker.remove()


def spoil(address: Address) -> None:
    """Write every hostile value into every topic, among them under keys that are none."""
    producer = KafkaProducer(**address.kafka_python)
    for topic in ALL:
        for number, value in enumerate(RECORDS.values()):
            key = (None, b"", b"\xff\xfe", b"air-quillon", b"x" * 5_000)[number % 5]
            key = b"\xff" if topic is SUBJECTS else key  # a compacted topic asks for one
            producer.send(topic.name, key=key, value=value, headers=[("traceparent", b"\xff")])
    producer.flush(60)
    producer.close(timeout=10)


def well(home: House) -> bool:
    answers = [httpx.get(home.url(name, "/ready"), timeout=60).json() for name in SERVICES]
    return all(answer["ready"] for answer in answers)


def buried_are_told(home: House, address: Address) -> None:
    """Each of them lies in the dead letters of its topic, with a reason; the watch list has none."""
    wanted = {hashlib.sha256(value).hexdigest() for value in RECORDS.values()}
    for topic in ALL:
        if topic is SUBJECTS:  # read by everybody, written by one: it is told in the log
            continue
        found: defaultdict[str, list[DeadLetter]] = defaultdict(list)
        reader = letters(address, topic.dead_letters)

        def all_there(reader: KafkaConsumer = reader, found: dict = found) -> bool:  # type: ignore[type-arg]
            for batch in reader.poll(timeout_ms=500).values():
                for record in batch:
                    letter = DEAD_LETTER.decode(record.value)
                    found[letter.sha256].append(letter)
            return set(found) >= wanted

        home.wait(f"the dead letters of {topic.name}", all_there)
        reader.close()
        assert all(
            one.reason and len(one.beginning) <= 200 for all_ in found.values() for one in all_
        )


def letters(address: Address, topic: str) -> KafkaConsumer:
    reader = KafkaConsumer(**address.kafka_python, group_id=None, auto_offset_reset="earliest")
    reader.assign([TopicPartition(topic, 0)])
    return reader


def most_memory(pid: int) -> int:
    """Bytes that a process held at its most."""
    found = re.search(r"^VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1]) * 1024
