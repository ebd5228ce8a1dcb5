"""Whatever comes over HTTP gets a clear answer, and what came with it is not lost."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.e2e.house import House

NOW = datetime.now(UTC).replace(microsecond=0)


def a_post(name: str, **given: Any) -> dict[str, Any]:
    post = {"id": name, "text": f"Air Quillon lost the bag of {name}"}
    return post | {"created_at": NOW.isoformat(), "author": name} | given


BAD: dict[str, tuple[Any, str]] = {
    "no id": ({k: v for k, v in a_post("x").items() if k != "id"}, "id"),
    "id of a wrong type": (a_post("x", id=["x"]), "id"),
    "text of a wrong type": (a_post("x", text=7), "text"),
    "no time": ({k: v for k, v in a_post("x").items() if k != "created_at"}, "created_at"),
    "a time that is none": (a_post("x", created_at="yesterday"), "created_at"),
    "the future": (a_post("x", created_at=(NOW + timedelta(days=2)).isoformat()), "future"),
    "1970": (a_post("x", created_at="1970-01-01T00:00:00Z"), "before 2000"),
    "no object": ("just words", "object"),
    "an unknown subject": (a_post("x", subjects=["nobody"]), "nobody"),
}


def test_each_bad_post_is_refused_with_its_reason_and_its_neighbours_are_taken(home: House) -> None:
    bad = list(BAD.items())
    body = [
        item
        for number, (_, (post, _)) in enumerate(bad)
        for item in (a_post(f"good-{number}"), post)
    ]
    answer = home.push(body)

    assert answer.status_code == 202, answer.text
    verdicts = answer.json()["verdicts"]
    assert [v["verdict"] for v in verdicts[0::2]] == ["accepted"] * len(bad)
    for (name, (_, reason)), verdict in zip(bad, verdicts[1::2], strict=True):
        assert verdict["verdict"] == "rejected", name
        assert reason in verdict["reason"], (name, verdict["reason"])


def test_odd_texts_are_taken_as_they_can_be(home: House) -> None:
    odd = {
        "null": "Air Quillon \x00 broke it",
        "surrogate": "Air Quillon \ud83d broke it",
        "long": "Air Quillon broke it. " * 5_000,
        "twice": "Air Quillon broke it",
    }
    body = [a_post(f"odd-{name}", text=text) for name, text in odd.items()]
    answer = home.push([*body, body[-1]])

    assert answer.status_code == 202, answer.text
    assert [v["verdict"] for v in answer.json()["verdicts"]] == ["accepted"] * 4 + ["duplicate"]
    assert answer.json()["cut"] == 1


def test_a_body_that_cannot_be_read_is_refused_whole_and_the_next_is_taken(home: House) -> None:
    assert home.push(b'[{"id": "1", "text": ').status_code in {400, 422}
    assert home.push(b"\xff\xfe").status_code in {400, 422}
    too_much = json.dumps([a_post("big", text="x" * 1_100_000)]).encode()
    assert home.push(too_much).status_code == 413
    assert home.push([a_post("after")]).json()["accepted"] == 1


def test_all_that_was_accepted_is_scored_and_none_of_it_is_buried(home: House) -> None:
    good = [a_post(f"whole-{number}") for number in range(150)]
    bad = [post for post, _ in BAD.values()]
    before, buried = accepted(home), home.metric("classifier", BURIED)

    answer = home.push([*good, *bad]).json()
    assert (answer["accepted"], answer["rejected"]) == (len(good), len(bad))
    assert accepted(home) == before + len(good)
    home.wait("them to be scored", lambda: home.metric("classifier", SCORED) >= accepted(home))
    assert home.metric("classifier", SCORED) == accepted(home)
    assert home.metric("classifier", BURIED) == buried


SCORED, BURIED = "uproar_classifier_posts_total", "uproar_classifier_dead_letters_total"


def accepted(home: House) -> float:
    """Return how many posts ingest has accepted in all its life, other tests' among them."""
    return home.metric("ingest", "uproar_ingest_posts_total", verdict="accepted")
