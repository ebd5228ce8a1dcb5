import stat

import pytest

from services.ingest.settings import IngestSettings, SourceTable, read_sources
from uproar.errors import Misconfigured


@pytest.fixture
def load(monkeypatch, tmp_path):
    def load(**environment: str) -> IngestSettings:
        monkeypatch.setenv("UPROAR_DATA_DIR", str(tmp_path / "data"))
        for name, value in environment.items():
            monkeypatch.setenv(f"UPROAR_{name}", value)
        return IngestSettings.load()

    return load


def test_without_settings_only_this_machine_may_push(load):
    settings = load()
    assert (settings.host, settings.port, settings.bearer()) == ("127.0.0.1", 8081, None)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.5", "ingest.example"])
def test_without_a_token_no_other_machine_may_push(load, host):
    with pytest.raises(Misconfigured, match="set UPROAR_INGEST_TOKEN"):
        load(INGEST_HOST=host, INGEST_TOKEN=" ").bearer()
    assert load(INGEST_HOST=host, INGEST_TOKEN="t").bearer() == b"t"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.9", "::1", "localhost"])
def test_without_a_token_this_machine_may_push(load, host):
    assert load(INGEST_HOST=host).bearer() is None


def test_secrets_may_come_from_files_and_are_not_shown(load, tmp_path):
    (tmp_path / "token").write_text("t0ken\n")
    settings = load(INGEST_TOKEN_FILE=str(tmp_path / "token"))
    assert settings.bearer() == b"t0ken"
    assert "t0ken" not in repr(settings)


def test_a_key_of_pseudonyms_is_made_once_and_for_its_owner_alone(load, tmp_path):
    key = load().secret_of_pseudonyms()
    assert load().secret_of_pseudonyms() == key
    path = tmp_path / "data" / "pseudonym.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.unlink()
    assert load().secret_of_pseudonyms() != key


def test_a_given_key_is_used_and_may_be_long(load, tmp_path):
    key = load(PSEUDONYM_KEY="x" * 200).secret_of_pseudonyms()
    assert len(key) == 64
    assert load(PSEUDONYM_KEY="x" * 201).secret_of_pseudonyms() != key
    assert not (tmp_path / "data").exists()


def test_an_empty_key_file_is_no_key(load, tmp_path):
    load().secret_of_pseudonyms()
    (tmp_path / "data" / "pseudonym.key").write_text("")
    with pytest.raises(Misconfigured, match="is empty"):
        load().secret_of_pseudonyms()


def test_a_data_folder_that_cannot_be_used_stops_the_process(load, tmp_path):
    (tmp_path / "data").write_text("a file")
    with pytest.raises(Misconfigured, match="UPROAR_DATA_DIR"):
        load().secret_of_pseudonyms()


# --------------------------------------------------------------------------------------- sources


def a_config(tmp_path, text: str):
    path = tmp_path / "uproar.toml"
    path.write_text(text)
    return path


def test_sources_are_read_and_called_as_their_type_unless_they_have_a_name(tmp_path):
    path = a_config(
        tmp_path, '[[source]]\ntype="bluesky"\n[[source]]\ntype="bluesky"\nname="Mine"\nurl="u"'
    )
    assert read_sources(path) == (
        SourceTable(name="bluesky", type="bluesky", options={}),
        SourceTable(name="mine", type="bluesky", options={"url": "u"}),
    )


def test_without_a_configuration_or_a_source_nothing_is_read(tmp_path):
    assert read_sources(None) == ()
    assert read_sources(a_config(tmp_path, '[[subject]]\nid="x"')) == ()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("source = 7", "list of tables"),
        ("[source]", "list of tables"),
        ("source = [1]", "list of tables"),
        ("[[source]]", "source number 1 has no type"),
        ("[[source]]\ntype = 7", "source number 1 has no type"),
        ('[[source]]\ntype = "bluesky"\nname = "a b"', "source: 'a b'"),
        ('[[source]]\ntype = "bluesky"\n[[source]]\ntype = "bluesky"', "'bluesky' stands twice"),
        ("[[source", "uproar.toml"),
    ],
)
def test_what_is_wrong_with_a_source_is_named(tmp_path, text, reason):
    with pytest.raises(Misconfigured, match=reason):
        read_sources(a_config(tmp_path, text))
