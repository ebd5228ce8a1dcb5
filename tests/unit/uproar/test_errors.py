"""One exception for each decision of the caller."""

import pytest

from uproar.errors import Malformed, Misconfigured, Unavailable, UproarError


@pytest.mark.parametrize("error", [Malformed, Unavailable, Misconfigured])
def test_every_error_is_one_of_uproar_and_none_of_the_others(error):
    assert issubclass(error, UproarError)
    assert {error}.isdisjoint({Malformed, Unavailable, Misconfigured} - {error})
    others = tuple({Malformed, Unavailable, Misconfigured} - {error})
    assert not issubclass(error, others)


def test_an_error_says_its_reason():
    assert str(Malformed("text: empty")) == "text: empty"
