"""A subject added or changed over the API reaches ingest and detection while they run; how soon is printed."""

import time
from datetime import UTC, datetime

from tests.e2e.house import House


def test_a_new_subject_and_a_new_alias_are_matched(home: House) -> None:
    subject = {"id": "marlowe", "name": "Marlowe Kettles", "kind": "brand", "budget": "1/month"}
    assert _verdict(home, "m1", "Marlowe Kettles never boil") == "unmatched"
    assert home.ask("POST", "/v1/subjects", json=subject).status_code == 201
    print("seconds to a new subject:", _until_matched(home, "Marlowe Kettles never boil"))

    changed = home.ask("PUT", "/v1/subjects/marlowe", json=subject | {"aliases": ["Marlokettle"]})
    assert changed.status_code == 200, changed.text
    print("seconds to a new alias:", _until_matched(home, "the Marlokettle leaks"))

    dropped = home.metric("classifier", "uproar_classifier_dropped_total")
    assert dropped == 0, "detection did not know the subject yet"


def _until_matched(home: House, text: str) -> float:
    begun, number = time.monotonic(), iter(range(10_000))
    home.wait(text, lambda: _verdict(home, f"{text}-{next(number)}", text) == "accepted")
    return time.monotonic() - begun


def _verdict(home: House, post: str, text: str) -> str:
    body = {"id": post, "text": text, "created_at": datetime.now(UTC).isoformat()}
    answer = home.push([body])
    assert answer.status_code == 202, answer.text
    verdict: str = answer.json()["verdicts"][0]["verdict"]
    return verdict
