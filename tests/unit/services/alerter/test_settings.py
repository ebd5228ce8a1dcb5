from pathlib import Path

import pytest

from services.alerter.settings import AlerterSettings, read
from uproar.errors import Misconfigured

CONFIG = """
[[subject]]
id = "air-quillon"
name = "Air Quillon"

[[receiver]]
name = "war-room"
type = "slack"
channel = "C1"
token = "xoxb-1"

[[route]]
name = "default"
receivers = ["war-room"]
"""


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_without_settings_everything_is_on_this_machine(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = AlerterSettings.load()

    assert (settings.host, settings.port) == ("127.0.0.1", 8080)
    assert settings.console_url == "http://127.0.0.1:8080"
    assert settings.database_url == f"sqlite+aiosqlite:///{tmp_path}/.uproar/alerter/uproar.db"


@pytest.mark.parametrize(
    ("host", "url", "nowhere"),
    [
        ("0.0.0.0", None, True),
        ("::", None, True),
        ("0.0.0.0", "https://uproar.example.com", False),
        ("127.0.0.1", None, False),
    ],
)
def test_links_to_everywhere_lead_nowhere(monkeypatch, host, url, nowhere):
    monkeypatch.setenv("UPROAR_ALERTER_HOST", host)
    if url:
        monkeypatch.setenv("UPROAR_ALERTER_PUBLIC_URL", url)
    assert AlerterSettings.load().links_lead_nowhere is nowhere


def test_the_environment_is_read_and_the_password_hidden(monkeypatch):
    url = "postgresql+asyncpg://uproar:tops3cr3t@db/uproar"
    monkeypatch.setenv("UPROAR_DATABASE_URL", url)
    monkeypatch.setenv("UPROAR_ALERTER_PORT", "9090")
    monkeypatch.setenv("UPROAR_ALERTER_PUBLIC_URL", "https://uproar.example/")
    settings = AlerterSettings.load()

    assert settings.database_url == url
    assert settings.console_url == "https://uproar.example"
    assert "tops3cr3t" not in repr(settings)


def test_the_database_url_may_stand_in_a_file(monkeypatch, tmp_path):
    monkeypatch.setenv("UPROAR_DATABASE_URL_FILE", str(written(tmp_path / "url", "sqlite:x\n")))

    assert AlerterSettings.load().database_url == "sqlite:x"


def test_config_and_watch_list_are_read_together(tmp_path):
    config = written(tmp_path / "uproar.toml", CONFIG)
    watch = written(
        tmp_path / "watch.json",
        '{"subject": [{"id": "air-quillon", "name": "Quillon"}, {"id": "b", "name": "B"}]}',
    )

    document = read(config, watch)

    assert [(s.id, s.name) for s in document.subjects] == [("air-quillon", "Quillon"), ("b", "B")]
    (receiver,) = document.receivers
    assert (receiver.name, receiver.type) == ("war-room", "slack")
    assert receiver.options == {"channel": "C1", "token": "xoxb-1"}
    assert document.routes == ({"name": "default", "receivers": ["war-room"]},)


def test_without_files_there_is_nothing():
    document = read(None, None)

    assert (document.subjects, document.receivers, document.routes) == ((), (), ())


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[[subject]]\nid = 'x'", "name missing"),
        ("[[receiver]]\ntype = 'slack'", "receiver number 1 has no name"),
        ("[[receiver]]\nname = 'a'", "receiver 'a' has no type"),
        ("[[receiver]]\nname='a'\ntype='slack'\n" * 2, "receiver 'a' stands twice"),
        ("[receiver]\nname='a'", r"write \[\[receiver\]\]"),
        ("[route]\nname='a'", r"write \[\[route\]\]"),
        ("broken = ", "uproar.toml"),
    ],
)
def test_what_is_wrong_in_a_file_is_named(tmp_path, text, reason):
    with pytest.raises(Misconfigured, match=reason):
        read(written(tmp_path / "uproar.toml", text), None)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(Misconfigured, match=r"nowhere\.toml"):
        read(None, tmp_path / "nowhere.toml")
