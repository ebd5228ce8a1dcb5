import asyncio
from datetime import timedelta

import pytest

from services.ingest.intake import Intake, Push
from services.ingest.seen import GENERATION, Seen
from services.ingest.source import Gone
from tests.unit.services.ingest.fakes import NOW, FakeBroker, PlainNames, a_json
from uproar.errors import Malformed, Unavailable
from uproar.topics import DELETIONS
from uproar.wire import TRACEPARENT

TRACE = "00-" + "1" * 32 + "-" + "2" * 16 + "-01"


class House:
    def __init__(self, folder, *, watching=True, authors=GENERATION) -> None:
        self.broker = FakeBroker()
        self.seen = Seen(folder)
        self.authors = Seen(folder / "authors", generation=authors)
        self.intake = Intake(
            seen=self.seen, authors=self.authors, key=b"key", send=self.broker.send
        )
        if watching:
            names = PlainNames("acme", "zenith")
            self.intake.watch(dict.fromkeys(names.subjects), names)

    async def take(self, *items, late_before=None, **given):
        push = Push(items=items, source="push", received_at=NOW, traceparent=TRACE, **given)
        return await self.intake.take(push, late_before=late_before)


@pytest.fixture
def house(tmp_path):
    return House(tmp_path)


def verdicts(outcome):
    return [str(judged.verdict) for judged in outcome.verdicts]


async def test_each_post_gets_its_verdict_in_order(house):
    outcome = await house.take(
        a_json("1"), a_json("1"), a_json("2", text="nobody we know"), b'{"id":"3"}', b"[]",
        Malformed("line 6: broken"), a_json("4", text="acme and zenith"),
    )  # fmt: skip
    assert verdicts(outcome) == [
        "accepted", "duplicate", "unmatched", "rejected", "rejected", "rejected", "accepted",
    ]  # fmt: skip
    assert [judged.id for judged in outcome.verdicts] == ["1", "1", "2", "3", None, None, "4"]
    assert [judged.reason for judged in outcome.verdicts][5] == "line 6: broken"
    assert [post.id for post in house.broker.posts] == ["push:1", "push:4"]
    assert house.broker.posts[1].subjects == ("acme", "zenith")


async def test_a_record_carries_the_post_under_its_id_and_the_trace(house):
    await house.take(a_json("1", author="Ann"), backfill=True)
    (record,) = house.broker.records
    (post,) = house.broker.posts
    assert (record.key, record.partition) == (b"push:1", None)
    assert record.header(TRACEPARENT) == TRACE.encode()
    assert post.backfill
    assert post.author is not None
    assert b"Ann" not in (record.value or b"")


async def test_a_post_is_a_duplicate_after_a_restart_too(house, tmp_path):
    await house.take(a_json("1"))
    again = House(tmp_path)
    assert verdicts(await again.take(a_json("1"))) == ["duplicate"]
    assert again.broker.records == []


async def test_the_same_id_of_another_network_is_another_post(house):
    outcome = await house.take(a_json("1"), a_json("1", source="reddit"))
    assert verdicts(outcome) == ["accepted", "accepted"]


async def test_what_the_broker_did_not_take_is_not_remembered(house):
    house.broker.down = True
    with pytest.raises(Unavailable):
        await house.take(a_json("1"))
    house.broker.down = False
    assert verdicts(await house.take(a_json("1"))) == ["accepted"]


async def test_a_crash_between_acknowledgement_and_memory_repeats_rather_than_loses(
    house, tmp_path, monkeypatch
):
    def crash(_):
        raise OSError("killed here")

    monkeypatch.setattr(house.seen, "remember", crash)
    with pytest.raises(OSError, match="killed"):
        await house.take(a_json("1"))
    again = House(tmp_path)
    assert verdicts(await again.take(a_json("1"))) == ["accepted"]
    assert [p.id for p in house.broker.posts + again.broker.posts] == ["push:1", "push:1"]


async def test_of_two_requests_at_once_only_one_sends_a_post(house):
    house.broker.open.clear()
    first = asyncio.create_task(house.take(a_json("1"), a_json("2")))
    second = asyncio.create_task(house.take(a_json("2"), a_json("3")))
    await asyncio.sleep(0.05)
    assert not first.done()
    assert not second.done()
    house.broker.open.set()
    assert verdicts(await first) == ["accepted", "accepted"]
    assert verdicts(await second) == ["duplicate", "accepted"]
    assert [post.id for post in house.broker.posts] == ["push:1", "push:2", "push:3"]


async def test_a_post_claimed_by_a_request_that_fails_is_no_duplicate(house):
    house.broker.open.clear()
    first = asyncio.create_task(house.take(a_json("1")))
    second = asyncio.create_task(house.take(a_json("1")))
    await asyncio.sleep(0.05)
    house.broker.down = True
    house.broker.open.set()
    for request in (first, second):
        with pytest.raises(Unavailable):
            await request
    house.broker.down = False
    assert verdicts(await house.take(a_json("1"))) == ["accepted"]


async def test_an_author_who_still_writes_is_not_forgotten(tmp_path):
    house = House(tmp_path, authors=2)  # a generation holds two
    for number, author in enumerate(["ann", "bob", "ann", "cleo", "dan"]):
        await house.take(a_json(str(number), author=author), cursor=str(number))
    await house.take(cursor="9", gone=[Gone(network="push", author="ann", at=NOW)])
    assert house.broker.records[-1].topic == DELETIONS.name


async def test_before_the_watch_list_is_read_nothing_is_taken(tmp_path):
    house = House(tmp_path, watching=False)
    assert house.intake.problem()
    with pytest.raises(Unavailable, match="watch list"):
        await house.take(a_json("1"))


async def test_an_unmatched_post_may_match_later(house):
    await house.take(a_json("1", text="globex is late"))
    names = PlainNames("globex")
    house.intake.watch(dict.fromkeys(names.subjects), names)
    assert verdicts(await house.take(a_json("1", text="globex is late"))) == ["accepted"]


async def test_given_subjects_must_be_watched_and_replace_matching(house):
    outcome = await house.take(
        a_json("1", subjects=["zenith"]), a_json("2", subjects=["nobody"]), a_json("3", subjects=[])
    )
    assert verdicts(outcome) == ["accepted", "rejected", "unmatched"]
    assert "nobody" in (outcome.verdicts[1].reason or "")
    assert house.broker.posts[0].subjects == ("zenith",)


async def test_cut_and_late_posts_are_counted_and_the_newest_is_known(house):
    outcome = await house.take(
        a_json("1", text="acme " + "x" * 20_000),
        a_json("2", created_at="2026-03-02T11:00:00Z"),
        a_json("3", created_at="2026-03-02T11:59:59Z", text="nobody"),
        late_before=NOW - timedelta(minutes=30),
    )
    assert (outcome.cut, outcome.late) == (1, 1)
    assert outcome.newest == NOW - timedelta(seconds=1)
