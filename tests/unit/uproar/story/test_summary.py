"""One sentence that says why."""

import pytest

from uproar.story import summary


@pytest.mark.parametrize(
    ("negative", "baseline", "window", "begins"),
    [
        (9.4, 0.2, 2, "9 people complained about Air Quillon within an hour, where usually almost nobody does;"),
        (1.0, 0.9, 0, "One person complained about Air Quillon within ten minutes, where usually about 1 does;"),
        (2400, 300, 5, "2,400 people complained about Air Quillon within a day, where usually about 300 do;"),
    ],
)  # fmt: skip
def test_an_opening_names_people_time_and_what_is_usual(
    negative: float, baseline: float, window: int, begins: str
):
    told = summary.opening(
        "Air Quillon", negative=negative, baseline=baseline, window=window, share=0.8
    )
    assert told == f"{begins} 80% of what is written is negative."


def test_an_ebb_is_told_against_the_peak():
    assert summary.subsiding("Air Quillon", excess=-2, peak=41.7) == (
        "The wave about Air Quillon is ebbing: 0 more complaints than usual in the last hour,"
        " after 42 at its peak."
    )


@pytest.mark.parametrize(
    ("minutes", "lasted"), [(20, "1 hour"), (300, "5 hours"), (6000, "4 days")]
)
def test_an_end_tells_how_long_it_was(minutes: int, lasted: str):
    assert summary.ending("Air Quillon", posts=320, authors=200, minutes=minutes) == (
        f"The wave about Air Quillon is over: 320 posts and 200 people who complained in {lasted}."
    )
