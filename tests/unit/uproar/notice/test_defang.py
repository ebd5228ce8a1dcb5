import pytest

from uproar.notice.defang import defanged


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("see https://evil.example/a?b=1.5", "see hxxps://evil[.]example/a?b=1.5"),
        ("www.evil.example", "www[.]evil[.]example"),
        ("HTTP://evil.xn--p1ai", "HxxP://evil[.]xn--p1ai"),
        ("http://192.168.1.1/x", "hxxp://192[.]168[.]1[.]1/x"),
        ("a@b.example", "a@b[.]example"),
        ("javascript:alert(1) mailto:x", "javascript[:]alert(1) mailto[:]x"),
        ("New data: 3.5 hours late, again... Never.", "New data: 3.5 hours late, again... Never."),
        ("à 12.30, vol annulé. Merci", "à 12.30, vol annulé. Merci"),
    ],
)
def test_an_address_is_readable_and_dead(text, shown):
    assert defanged(text) == shown


def test_defanging_twice_changes_nothing_more():
    once = defanged("https://a.example/b tel:123 1.2.3.4")
    assert defanged(once) == once
