"""Which posts show what happened."""

from datetime import timedelta

from tests.build import NOON, an_assessment
from uproar.assessment import Assessment
from uproar.story.evidence import choose
from uproar.story.reservoir import Candidate


def posts(*given: dict) -> list[Candidate]:
    return [
        Candidate(
            an_assessment(
                f"p:{n}",
                created_at=NOON + timedelta(minutes=n),
                **{"negative": 0.6, "author": f"a{n}"} | one,
            )
        )
        for n, one in enumerate(given)
    ]


def why(candidates: list[Candidate], **given) -> dict[str, str]:
    return {piece.id: piece.why for piece in choose(candidates, **given)}


def test_no_candidates_no_evidence():
    assert choose([]) == ()


def test_each_post_is_chosen_for_its_own_reason():
    candidates = posts({}, {"shares": 900}, {"negative": 0.95}, {}, {})
    candidates[3].copies = 40
    assert why(candidates) == {
        "p:0": "the first post of the wave",
        "p:1": "the most shared or followed",
        "p:2": "the strongest complaint",
        "p:3": "said by most people",
        "p:4": "the newest",
    }


def test_a_large_account_counts_as_widely_seen():
    assert why(posts({}, {"author_followers": 10}, {"author_followers": 9_000}))["p:2"] == (
        "the most shared or followed"
    )


def test_at_most_eight_of_distinct_authors_are_shown_in_order_of_time():
    shown = choose(posts(*[{"author": f"a{n % 20}"} for n in range(60)]))
    assert len(shown) == 8
    assert len({piece.author for piece in shown}) == 8
    assert [piece.created_at for piece in shown] == sorted(piece.created_at for piece in shown)


def test_posts_without_author_are_of_different_people():
    assert len(choose(posts({"author": None}, {"author": None}, {"author": None}))) == 3


def test_texts_are_cut_to_a_thousand_characters():
    (piece,) = choose([Candidate(an_assessment(text="x" * 5000))])
    assert len(piece.text) == 1000


def test_less_can_be_asked_for():
    assert len(choose(posts(*[{}] * 10), most=3)) == 3


def test_the_choice_does_not_depend_on_chance():
    candidates: list[Assessment] = posts(*[{}] * 30)
    assert choose(candidates) == choose(candidates)
