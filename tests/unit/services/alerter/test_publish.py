import asyncio
from collections.abc import Iterable
from types import SimpleNamespace

import pytest
from aiokafka.errors import KafkaConnectionError

from services.alerter import publish
from services.alerter.publish import Publisher
from services.alerter.settings import AlerterSettings
from services.alerter.store import erasure, subjects
from services.alerter.store.database import Database
from tests.build import NOON, a_subject
from uproar.topics import DELETIONS, SUBJECTS


class Broker:
    """A broker's memory of one topic, and the two clients that the publisher opens to it."""

    def __init__(self) -> None:
        self.log: list[tuple[str, str | None]] = []
        self.gone: list[tuple[str, str | None]] = []
        self.down = False
        self.connections = 0

    def forget(self) -> None:
        self.log.clear()

    def current(self) -> dict[str, str]:
        """What a reader of the compacted topic knows: names by id."""
        return {key: name for key, name in dict(self.log).items() if name is not None}

    def ask(self) -> None:
        if self.down:
            raise KafkaConnectionError("gone")

    async def start(self) -> None:
        self.ask()
        self.connections += 1

    async def stop(self) -> None:
        pass

    async def send_and_wait(self, topic, *, value, key, partition=None):
        self.ask()
        if topic == DELETIONS.name:
            self.gone.append((key.decode(), DELETIONS.codec.decode(value).author))
            return SimpleNamespace(offset=len(self.gone) - 1)
        assert (topic, partition) == (SUBJECTS.name, 0)
        name = None if value is None else SUBJECTS.codec.decode(value).name
        self.log.append((key.decode(), name))
        return SimpleNamespace(offset=len(self.log) - 1)

    async def end_offsets(self, partitions: Iterable):
        self.ask()
        return {partition: len(self.log) for partition in partitions}


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Broker:
    broker = Broker()
    monkeypatch.setattr(publish, "AIOKafkaProducer", lambda **_: broker)
    monkeypatch.setattr(publish, "AIOKafkaConsumer", lambda **_: broker)
    monkeypatch.setattr(publish, "ensure_topics", lambda _: broker.ask())
    for pause in ("LOOK_EVERY", "PROBE_EVERY", "RETRY_AFTER"):
        monkeypatch.setattr(publish, pause, getattr(publish, pause) / 100)
    return broker


@pytest.fixture
async def publisher(database: Database, broker: Broker):
    stop = asyncio.Event()
    publisher = Publisher(AlerterSettings.load(), database, lambda: NOON)
    running = asyncio.create_task(publisher.run(stop))
    yield publisher
    stop.set()
    await running


async def written(database: Database, *watched) -> None:
    async with database.writing() as transaction:
        for subject in watched:
            await subjects.put(transaction, subject, now=NOON)


async def eventually(true) -> None:
    async with asyncio.timeout(60):
        while not true():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_what_is_watched_reaches_the_topic_and_so_does_each_change(
    database: Database, broker: Broker, publisher: Publisher
):
    await written(database, a_subject("a"), a_subject("b"))
    await eventually(lambda: broker.current() == {"a": "A", "b": "B"})

    await written(database, a_subject("b", name="New"))
    async with database.writing() as transaction:
        await subjects.delete(transaction, "a", now=NOON)

    await eventually(lambda: broker.current() == {"b": "New"})
    assert broker.log[-2:] in ([("a", None), ("b", "New")], [("b", "New"), ("a", None)])
    assert publisher.problem is None


async def test_what_has_not_changed_is_not_sent_again(
    database: Database, broker: Broker, publisher: Publisher
):
    await written(database, a_subject("a"))
    await eventually(lambda: broker.log)
    await written(database, a_subject("b"))
    await eventually(lambda: len(broker.log) > 1)
    await written(database, a_subject("c"))
    await eventually(lambda: len(broker.log) > 2)

    assert broker.log == [("a", "A"), ("b", "B"), ("c", "C")]


async def test_a_broker_that_is_away_at_the_start_gets_the_list_when_it_comes(
    database: Database, broker: Broker
):
    broker.down = True
    await written(database, a_subject("a"))
    stop = asyncio.Event()
    publisher = Publisher(AlerterSettings.load(), database, lambda: NOON)
    running = asyncio.create_task(publisher.run(stop))
    await eventually(lambda: "gone" in publisher.problem)

    broker.down = False

    await eventually(lambda: broker.current() == {"a": "A"})
    await eventually(lambda: publisher.problem is None)
    stop.set()
    await running


async def test_a_broker_that_goes_and_comes_back_is_told_the_whole_list_again(
    database: Database, broker: Broker, publisher: Publisher
):
    await written(database, a_subject("a"))
    await eventually(lambda: broker.current() == {"a": "A"})

    broker.down = True
    await eventually(lambda: publisher.problem is not None)
    broker.forget()
    broker.down = False

    await eventually(lambda: broker.current() == {"a": "A"})


async def test_a_broker_that_forgot_between_two_looks_is_noticed(
    database: Database, broker: Broker, publisher: Publisher
):
    await written(database, a_subject("a"), a_subject("b"))
    await eventually(lambda: len(broker.current()) == 2)

    broker.forget()

    await eventually(lambda: len(broker.current()) == 2)


async def test_a_deleted_subject_is_deleted_on_a_new_broker_too(database: Database, broker: Broker):
    await written(database, a_subject("a"), a_subject("b"))
    async with database.writing() as transaction:
        await subjects.delete(transaction, "a", now=NOON)
    stop = asyncio.Event()
    running = asyncio.create_task(
        Publisher(AlerterSettings.load(), database, lambda: NOON).run(stop)
    )

    await eventually(lambda: broker.log == [("a", None), ("b", "B")])
    stop.set()
    await running


async def test_an_erasure_reaches_the_topic_once_and_after_an_outage(
    database: Database, broker: Broker
):
    async with database.writing() as transaction:
        await erasure.erase(transaction, ["a_1"], None, now=NOON)
    broker.down = True
    stop = asyncio.Event()
    publisher = Publisher(AlerterSettings.load(), database, lambda: NOON)
    running = asyncio.create_task(publisher.run(stop))
    await eventually(lambda: "gone" in publisher.problem)
    broker.down = False
    await eventually(lambda: broker.gone)
    async with database.writing() as transaction:
        await erasure.erase(transaction, ["a_2"], None, now=NOON)
    await eventually(lambda: len(broker.gone) > 1)
    stop.set()
    await running
    assert broker.gone == [("a_1", "a_1"), ("a_2", "a_2")]
