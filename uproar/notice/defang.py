"""Defang: a stranger's text whose links no mail client or web page makes clickable."""

import re
from typing import Final

_SCHEME: Final = re.compile(r"\b(h)tt(ps?)(?=:)", re.IGNORECASE)
_OTHER: Final = re.compile(r"\b(ftp|file|data|javascript|mailto|tel|sms):(?=\S)", re.IGNORECASE)
_NAME: Final = re.compile(r"(?<=[\w-])\.(?=[^\W\d_]{2,}|xn--)")
_ADDRESS: Final = re.compile(r"\b(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})\b")


def defanged(text: str) -> str:
    """
    Rewrite addresses as people who handle hostile ones do: ``hxxps://evil[.]example/a``.

    A character that cannot be seen would not do: browsers drop it and follow the link.
    """
    text = _SCHEME.sub(r"\1xx\2", text)
    text = _OTHER.sub(r"\1[:]", text)
    text = _ADDRESS.sub(r"\1[.]\2[.]\3[.]\4", text)
    return _NAME.sub("[.]", text)
