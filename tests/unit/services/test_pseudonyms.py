import stat
from pathlib import Path

import pytest

from services.pseudonyms import PseudonymSettings, digest
from tests.build import NOON, a_moment
from uproar.errors import Misconfigured


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def settings(**given: str) -> PseudonymSettings:
        monkeypatch.setenv("UPROAR_DATA_DIR", str(tmp_path))
        for name, value in given.items():
            monkeypatch.setenv(f"UPROAR_PSEUDONYM_{name}", value)
        return PseudonymSettings.load()

    return settings


def test_after_a_rotation_authors_have_new_names_and_the_old_key_is_still_known(load, tmp_path):
    first = load().secret_of_pseudonyms()
    before = load().rotate(now=NOON)
    second = load().secret_of_pseudonyms()
    load().rotate(now=a_moment(minutes=1))
    third = load().secret_of_pseudonyms()
    assert len({first, second, third}) == 3
    assert load().secrets_of_pseudonyms() == (third, second, first)
    for path in (before, tmp_path / "pseudonym.key"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_keys_of_the_environment_rotate_by_their_variables(load):
    settings = load(KEY="new", PREVIOUS_KEYS="older, oldest\nnew")
    assert settings.secrets_of_pseudonyms() == tuple(map(digest, ("new", "older", "oldest")))
    with pytest.raises(Misconfigured, match="UPROAR_PSEUDONYM_PREVIOUS_KEYS"):
        settings.rotate(now=NOON)


def test_without_a_key_nothing_can_be_found_and_none_is_made(load, tmp_path):
    with pytest.raises(Misconfigured, match="not known here"):
        load().secrets_of_pseudonyms()
    with pytest.raises(Misconfigured, match=r"no .*to rotate"):
        load().rotate(now=NOON)
    assert load().known_secret() is None
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_text_is_told(load, tmp_path):
    (tmp_path / "pseudonym.previous").write_bytes(b"\xff")
    (tmp_path / "pseudonym.key").write_text("k")
    with pytest.raises(Misconfigured, match=r"pseudonym\.previous"):
        load().secrets_of_pseudonyms()
