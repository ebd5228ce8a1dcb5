import asyncio

import pytest

from services.ingest import app
from services.ingest.app import WatchList
from tests.build import a_subject
from uproar.topics import SUBJECTS
from uproar.wire import Record


class Built:
    def __init__(self) -> None:
        self.lists: list[set[str]] = []
        self.matcher: object = None

    def __call__(self, subjects, matcher) -> None:
        self.lists.append(set(subjects))
        self.matcher = matcher


def a_record(subject: str, *, deleted: bool = False) -> Record:
    return SUBJECTS.record(None if deleted else a_subject(subject), key=subject)


@pytest.fixture
async def building(monkeypatch):
    monkeypatch.setattr(app, "REBUILD_SECONDS", 0.05)
    built, whole = Built(), asyncio.Event()
    watch_list = WatchList(built)
    task = asyncio.create_task(watch_list.build(whole))
    yield watch_list, built, whole
    task.cancel()


async def until(true) -> None:
    async with asyncio.timeout(30):
        while not true():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_nothing_is_built_before_the_topic_was_read_whole(building):
    watch_list, built, whole = building
    watch_list.handle([a_record("acme")])
    await asyncio.sleep(0.1)
    assert built.lists == []
    watch_list.handle([a_record("zenith")])
    whole.set()
    await until(lambda: built.lists == [{"acme", "zenith"}])
    assert built.matcher.match("Zenith is late") == ("zenith",)


async def test_an_empty_topic_is_an_empty_list(building):
    _, built, whole = building
    whole.set()
    await until(lambda: built.lists == [set()])


async def test_a_deleted_subject_is_gone_and_many_changes_are_one_build(building):
    watch_list, built, whole = building
    whole.set()
    await until(lambda: built.lists)
    for n in range(50):
        watch_list.handle([a_record(f"s{n}")])
    for n in range(49):
        watch_list.handle([a_record(f"s{n}", deleted=True)])
    await until(lambda: built.lists[-1] == {"s49"})
    assert len(built.lists) == 2


async def test_a_subject_that_cannot_be_read_loses_no_other(building):
    watch_list, built, whole = building
    broken = Record(topic=SUBJECTS.name, key=b"bad", value=b'{"schema":"subject","version":1}')
    watch_list.handle([broken, a_record("acme"), Record(topic=SUBJECTS.name, key=None, value=b"{")])
    whole.set()
    await until(lambda: built.lists == [{"acme"}])
