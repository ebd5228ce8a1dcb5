import json
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from uproar.errors import Malformed
from uproar.inbox import mend_surrogates, read_post, stream_name
from uproar.post import Media, Post

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


def read(raw: bytes | None = None, **fields: object) -> Post:
    sent = {"id": "1", "text": "Acme lost my bag", "created_at": "2026-03-02T11:00:00Z"} | fields
    body = raw if raw is not None else json.dumps(sent).encode()
    return read_post(body, stream="push", now=NOW, key=b"key", known={"acme", "zenith"})


class Names:
    def match(self, text, *, title=None, lang=None):
        return ("acme",) if "acme" in f"{text} {title}".lower() else ()

    def own(self, account):
        return ("acme",) if account == "@AcmeHelp" else ()


def test_a_plain_post_is_read_whole():
    post = read(
        author="@Ann", author_followers=12, lang="en", source="Reddit", url="https://r.example/1",
        title="Bags", rating=1.5, media=["video", "image", "video"], views=9, shares=8, likes=7,
        replies=6, repost_of="x", reply_to="y", own=True, unheard_of={"a": [1]},
    )  # fmt: skip
    assert post.id == "reddit:1"
    assert (post.stream, post.network, post.received_at) == ("push", "reddit", NOW)
    assert post.created_at == NOW - timedelta(hours=1)
    assert post.media == (Media.VIDEO, Media.IMAGE)
    assert (post.author_followers, post.views, post.shares, post.likes, post.replies) == (
        12,
        9,
        8,
        7,
        6,
    )
    assert (post.lang, post.url, post.title, post.rating) == (
        "en",
        "https://r.example/1",
        "Bags",
        1.5,
    )
    assert (post.repost_of, post.reply_to, post.own, post.cut) == ("x", "y", True, False)


def test_a_post_without_network_has_its_streams():
    assert read().id == "push:1"
    assert read(source=" ").network == "push"


def test_the_author_is_a_pseudonym_whatever_its_spelling():
    assert read(author="@Ann").author == read(author="ann").author
    assert "ann" not in (read(author="Ann").author or "").lower()
    assert read(author="").author is None
    assert read(author=None).author is None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", 1), ("id", ""), ("id", " \x00"), ("id", None), ("id", "x" * 513), ("text", 5),
        ("created_at", "yesterday"), ("created_at", 1700000000), ("created_at", "2026-03-02"),
        ("created_at", "2026-03-02T11:00:00"), ("created_at", "1970-01-01T00:00:00Z"),
        ("created_at", "2026-03-02T12:06:00Z"), ("created_at", "9999-12-31T23:59:59-14:00"),
        ("author", 3), ("views", -1), ("views", 1.5), ("views", "9"), ("views", True),
        ("likes", 10**40), ("author_followers", -1), ("rating", -0.5), ("rating", "good"),
        ("media", ["gif"]), ("media", "video"), ("url", "javascript:alert(1)"), ("source", "a b"),
        ("url", "https://" + "x" * 5000), ("lang", "x" * 36), ("own", "yes"), ("subjects", "acme"),
        ("subjects", ["acme", "nobody"]), ("subjects", [1]), ("reply_to", 7),
    ],
)  # fmt: skip
def test_a_wrong_field_is_named_in_the_reason(field, value):
    with pytest.raises(Malformed, match=field):
        read(**{field: value})


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"3", b"null", b"[]", b'"post"', b"{", b'{"id":"1"', b"{}", b'{"id":"\xff"}',
        b'{"id":"1","x":NaN}', b'{"id":"1","x":' + b"[" * 100_000, b'{"id":"1","views":' + b"9" * 9000 + b"}",
    ],
)  # fmt: skip
def test_what_is_no_post_is_malformed(raw):
    with pytest.raises(Malformed):
        read(raw)


def test_a_missing_field_is_named():
    with pytest.raises(Malformed, match="created_at: missing"):
        read(b'{"id":"1","text":"x"}')


def test_text_or_title_must_say_something():
    assert read(text="", title="Bags").title == "Bags"
    assert read(text=None, title="Bags").text == ""
    with pytest.raises(Malformed, match="text: empty"):
        read(text=" \n", title="\x00")


def test_null_bytes_and_lone_surrogates_are_cleaned_and_long_text_is_cut():
    post = read(text="a\x00b \ud800 " + "é" * 20_000)
    assert "\x00" not in post.text
    assert post.text.encode()  # no lone surrogate is left
    assert len(post.text.encode()) <= 16 * 1024
    assert post.cut


def test_whole_numbers_may_be_written_as_decimals_and_a_bare_reply_is_no_id():
    assert read(views=12.0).views == 12
    assert read(reply_to=True).reply_to is None


def test_given_subjects_replace_matching_and_own_accounts_are_found():
    def names(**fields):
        sent = {"id": "1", "text": "acme", "created_at": "2026-03-02T11:00:00Z"} | fields
        return read_post(sent, stream="push", now=NOW, key=b"", names=Names(), known={"zenith"})

    sent = {"created_at": NOW}
    assert names(**sent).subjects == ("acme",)
    assert names(**sent, subjects=["zenith", "zenith"]).subjects == ("zenith",)
    assert names(**sent, subjects=[]).subjects == ()
    assert names(**sent, author="@AcmeHelp").own_of == ("acme",)
    assert names(**sent, author="@AcmeHelp", subjects=[]).own_of == ()


def test_the_same_post_reads_the_same_parsed_or_not():
    parsed = {"id": "1", "text": "Acme lost my bag", "created_at": "2026-03-02T11:00:00Z"}
    assert read_post(parsed, stream="push", now=NOW, key=b"key") == read()


@pytest.mark.parametrize("name", ["", "a b", "é", "x" * 101, "a/b", "a:b"])
def test_a_stream_name_that_could_be_misread_is_refused(name):
    with pytest.raises(Malformed):
        stream_name(name)


def test_a_stream_name_is_lower_case():
    assert stream_name(" X-1_a.b ") == "x-1_a.b"


def test_only_lone_surrogates_are_mended():
    raw = rb'{"a":"\ud800 \ud83d\ude00 \\ud800 \udc00\ud83d \uD83D\u0041 \n"}'
    assert mend_surrogates(raw) == (
        rb'{"a":"\ufffd \ud83d\ude00 \\ud800 \ufffd\ufffd \ufffd\u0041 \n"}'
    )


@given(st.text(alphabet=st.characters(), max_size=40))
def test_mended_json_of_any_text_can_be_decoded(text):
    raw = json.dumps({"a": text}).encode()
    mended = msgspec.json.decode(mend_surrogates(raw))["a"]
    assert mended == "".join(
        "\ufffd" if "\ud800" <= c <= "\udfff" else c for c in json.loads(raw)["a"]
    )


@given(st.binary(max_size=200) | st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(
        ["id", "text", "created_at", "author", "views", "subjects", "media", "rating", "url"]), inner),
).map(lambda value: json.dumps(value).encode()))  # fmt: skip
def test_whatever_comes_is_a_post_or_malformed(raw):
    try:
        post = read_post(raw, stream="push", now=NOW, key=b"")
    except Malformed:
        return
    assert post.id.startswith(f"{post.network}:")
