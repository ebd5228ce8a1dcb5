import json
from datetime import UTC, datetime

import pytest

from services.ingest.source import Gone
from services.ingest.sources.bluesky.wire import parse
from tests.shared import ROOT
from uproar.errors import Malformed

NOW = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
ANN, BOB = "did:plc:ewvi7nxzyoun6zhxrhs64oiz", "did:plc:z72i7hdynmk6r22z27h6tvur"
GUITAR = f"at://{ANN}/app.bsky.feed.post/3m5xk2c7q2s2b"
ROWS = (ROOT / "tests" / "data" / "bluesky" / "frames.jsonl").read_text("utf-8").splitlines()
FRAMES = {row["name"]: row["frame"] for row in map(json.loads, ROWS)}


def heard(frame, /, **payload):
    frame = FRAMES[frame]
    return parse(json.dumps(frame | {"payload": frame["payload"] | payload}).encode(), now=NOW)


def post(frame, /, **record):
    said = FRAMES[frame]["payload"]["record"] | record
    found = heard(frame, record=said).post
    return None if found is None else json.loads(found)


def test_a_post_is_what_one_would_push():
    assert post("a post") == {
        "id": GUITAR,
        "source": "bluesky",
        "text": "Air Quillon snapped the neck of my guitar and the desk just shrugged.",
        "created_at": "2026-11-20T09:14:01.132431Z",
        "author": ANN,
        "lang": "en",
        "url": f"https://bsky.app/profile/{ANN}/post/3m5xk2c7q2s2b",
    }


def test_event_time_is_when_the_network_saw_it_not_the_clock_of_a_phone():
    assert post("a post", createdAt="1970-01-01T00:00:00Z")["created_at"].startswith("2026-11-20")
    assert heard("a post").at == datetime(2026, 11, 20, 9, 14, 1, 132431, tzinfo=UTC)


def test_the_cursor_goes_by_what_was_witnessed_and_not_by_an_imported_time():
    found = heard("a post", witnessedAt="2026-11-20T09:15:01.132431Z")
    assert found.at == datetime(2026, 11, 20, 9, 15, 1, 132431, tzinfo=UTC)
    assert json.loads(found.post)["created_at"] == "2026-11-20T09:14:01.132431Z"
    for name in (
        "a like",
        "a deletion",
        "an account is deleted",
        "an account rests",
        "a new handle",
    ):
        assert heard(name, witnessedAt="2026-11-20T09:59:00Z").at.minute == 59


def test_a_reply_says_to_what():
    assert post("a reply in French")["reply_to"] == GUITAR
    assert post("a reply in French")["lang"] == "fr"


def test_what_it_carries_is_told_and_the_title_of_a_card_is_read():
    assert post("a quote with a picture")["media"] == ["image"]
    assert post("a video")["media"] == ["video"]
    assert post("a link card")["media"] == ["link"]
    assert post("a link card")["title"] == "Air Quillon breaks a guitar and will not pay"
    assert "media" not in post("a quote")


def test_a_picture_without_a_word_is_no_post_and_time_goes_on():
    assert post("an image without a word") is None
    assert heard("an image without a word").at is not None


@pytest.mark.parametrize(
    "odd", [7, "x", [], {"$type": 7}, {"no": "type"}, {"$type": "x", "media": 3}]
)
def test_an_odd_ornament_does_not_cost_the_post(odd):
    found = post("a post", embed=odd, langs=odd, reply=odd)
    assert found["text"].startswith("Air Quillon snapped")
    assert not {"media", "reply_to", "lang"} & set(found)


def test_a_lone_half_of_a_character_does_not_cost_the_post():
    raw = json.dumps(FRAMES["a post"]).replace("guitar", "guitar \\ud83d").encode()
    assert "�" in json.loads(parse(raw, now=NOW).post)["text"]


def test_what_is_taken_back_is_told():
    at = heard("a deletion").at
    assert heard("a deletion").gone == Gone(network="bluesky", id=GUITAR, at=at)
    at = heard("an account is deleted").at
    assert heard("an account is deleted").gone == Gone(network="bluesky", author=BOB, at=at)


@pytest.mark.parametrize("name", ["an account rests", "an account is back", "a new handle"])
def test_what_may_come_back_is_not_taken_back(name):
    assert heard(name).gone is None
    assert heard(name).at is not None


def test_a_like_and_a_repository_say_only_the_time():
    assert heard("a like").post is None
    assert heard("a repository begins anew").at is not None


def test_a_cursor_that_was_too_old_is_a_gap():
    assert heard("the cursor was too old").gap.startswith("OutdatedCursor: cursor below")
    assert heard("the cursor was too old", name="Advice").gap is None


def test_an_error_frame_ends_the_connection():
    raw = json.dumps(FRAMES["too slow"]).encode()
    assert parse(raw, now=NOW).ended.startswith("ConsumerTooSlow: reading below")


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        ({"time": None}, "payload.time: missing"),
        ({"time": "2026-11-21T09:14:01.000000Z"}, "in the future"),
        ({"time": "9999-12-31T23:59:59.999999-23:59"}, "payload.time"),
        ({"time": "1970-01-01T00:00:00.000000Z"}, "before 2000"),
        ({"time": "2026-11-20T09:14:01"}, "no time zone"),
        ({"time": 7}, "payload.time: Expected 'datetime"),
        ({"witnessedAt": "2026-11-21T09:14:01.000000Z"}, "witnessedAt: .* in the future"),
        ({"did": None}, "payload.did: missing"),
        ({"rkey": ""}, "rkey"),
        ({"record": {"text": 7}}, "text: Expected 'str'"),
        ({"record": None}, "Expected"),
        ({"$type": "network.bsky.jetstream.subscribeEvents#party"}, "is not known"),
    ],
)
def test_what_is_wrong_is_named(payload, reason):
    with pytest.raises(Malformed, match=reason):
        heard("a post", **payload)


@pytest.mark.parametrize("raw", [b"", b"{}", b"[]", b'{"$type":"message"}', b"\xff", b"[" * 50_000])
def test_what_is_no_frame_is_malformed(raw):
    with pytest.raises(Malformed):
        parse(raw, now=NOW)
