"""The pictures of docs/messages.md show what is sent today."""

import pytest

from tests.contract.test_messages import FOLDER
from tests.pictures import chromium, digest, drawn, pages


@pytest.mark.skipif(chromium() is None, reason="there is no Chromium that could draw them anew")
def test_no_picture_is_old():
    shown = {name: digest(page) for name, page in pages().items()}
    assert {name: drawn(FOLDER / f"{name}.png") for name in shown} == shown, (
        "run `python -m tests.pictures`"
    )
