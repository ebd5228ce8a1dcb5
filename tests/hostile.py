"""Hostile text: what people write by accident or on purpose, by what is wrong with it."""

PLAIN = "They broke my guitar and will not pay for it"

HOSTILE = {
    "nothing": "",
    "blanks of all kinds": " \t\n\r\x0b\x0c\x1c\x85\xa0\u2003\u2028\u3000",
    "a word of 10,000 letters": "x" * 10_000,
    "10,000 words of one letter": "x " * 10_000,
    "a megabyte": "they lost my bag " * 65_536,
    "right to left": "\u202e" + PLAIN + "\u202c\u200f\u061c\u2066" * 200,
    "zero width": "\u200b".join(PLAIN) + "\u200d\ufeff\u2060" * 500,
    "50 KB of emoji": "😡" * 12_500,
    "families and flags": "👩‍👩‍👧‍👦🇫🇷🏳️‍🌈" * 500,
    "lone surrogates": "\ud800\udfff\udc00 lost \udfff" * 100,
    "accents upon accents": "e" + "\u0301" * 10_000,
    "letters that grow when they are composed": "\ufdfa" * 5_000,
    "hangul to compose": "\u1100\u1161\u11a8" * 4_000,
    "null bytes": "a\x00b\x00" * 5_000,
    "control characters": "".join(map(chr, range(32))) * 300,
    "private use and no characters": "\ue000\uf8ff\ufffe\uffff\U0010ffff" * 1_000,
    "entities within entities": "&amp;" * 4_000 + "&#xd800;&#0;&#x110000;&notanentity;",
    "links": "https://" * 4_000,
    "one link": "https://example.org/" + "a" * 60_000,
    "handles": "@" * 16_000,
    "handles with dots": "@a." + "a." * 8_000,
    "the tokeniser's own words": "<s></s><unk><pad><mask>▁" * 300,
    "every language at once": "Привет 你好 مرحبا שלום नमस्ते γειά 안녕 สวัสดี " * 200,
}

DEEP = b"[" * 100_000

RECORDS = {
    "nothing": b"",
    "no JSON": b"\x80\x81\x82 just bytes \xff",
    "a schema registry's": b"\x00\x00\x00\x00\x07\x02post",
    "cut off": b'{"schema":"post","version":1,"id":"push:1","te',
    "nested": DEEP,
    "nested objects": b'{"a":' * 50_000,
    "a number": b"7",
    "null": b"null",
    "a list": b"[]",
    "an empty object": b"{}",
    "a schema of somebody else": b'{"schema":"invoice","version":1}',
    "a version to come": b'{"schema":"post","version":99}',
    "types all wrong": b'{"schema":7,"version":"one"}',
    "a megabyte": b'{"schema":"post","version":1,"text":"' + b"x" * 900_000 + b'"}',
    "not a number": b'{"schema":"reading","version":1,"at":NaN}',
}
"""Values that no schema of a topic allows, by what is wrong with them."""
