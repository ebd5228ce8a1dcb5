"""Every road on which a subject comes in: nobody watches a person without saying why."""

import json
from pathlib import Path

import pytest

from services.alerter.settings import read
from services.cli import run
from services.init import main as init
from tests.databases import migrated, new_url
from uproar.errors import Malformed, Misconfigured
from uproar.subject import Kind, Subject, watch_list
from uproar.topics import SUBJECTS
from uproar.wire import Record

PERSON = {"id": "jo", "name": "Jo", "kind": "person"}
TOML = '[[subject]]\nid = "jo"\nname = "Jo"\nkind = "person"\n'


@pytest.mark.parametrize("purpose", [None, "", "   "])
def test_as_a_value(purpose):
    with pytest.raises(Malformed, match="purpose"):
        Subject(id="jo", name="Jo", kind=Kind.PERSON, purpose=purpose)


def test_in_a_watch_list_or_the_configuration(tmp_path: Path):
    with pytest.raises(Malformed, match="purpose"):
        watch_list({"subject": [PERSON]})
    for name, text in (("w.toml", TOML), ("w.json", json.dumps({"subject": [PERSON]}))):
        file = tmp_path / name
        file.write_text(text)
        for given in ((file, None), (None, file)):
            with pytest.raises(Misconfigured, match="purpose"):
                read(*given)


def test_from_the_topic():
    good = Subject(id="jo", name="Jo", kind=Kind.PERSON, purpose="she asked us to")
    value = json.loads(SUBJECTS.codec.encode(good))
    text = json.dumps(value).replace('"she asked us to"', "null").encode()
    with pytest.raises(Malformed, match="purpose"):
        SUBJECTS.decode(Record(topic=SUBJECTS.name, value=text, key=b"jo"))


@pytest.mark.parametrize("verb", ["replay", "backtest"])
def test_on_the_command_line(tmp_path: Path, verb: str, capsys: pytest.CaptureFixture[str]):
    watch, posts = tmp_path / "watch.toml", tmp_path / "posts.jsonl"
    watch.write_text(TOML)
    posts.write_text('{"id": "1", "text": "x", "created_at": "2026-03-02T12:00:00Z"}\n')
    files = [str(posts), "--watch", str(watch), "--to", "http://127.0.0.1:9", "--token", "t"]
    if verb == "backtest":
        files = ["--posts", str(posts), "--watch", str(watch)]
    assert run([verb, *files]) != 0
    assert "purpose" in capsys.readouterr().err


def test_by_init(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Malformed, match="purpose"):
        init(
            config=Path("uproar.toml"), force=False, no_try=True, name="Jo", kind="person", yes=True
        )
    assert not Path("uproar.toml").exists()


async def test_over_http(tmp_path: Path):
    from services.alerter.access import Access, Role
    from tests.surfaces import now, surfaces

    async with migrated(new_url(tmp_path)) as database, surfaces(database) as there:
        _, key = await Access(database, now).create_key("root", Role.ADMIN)
        bearer = {"Authorization": f"Bearer {key}"}
        made = await there.api.post("/v1/subjects", json=PERSON, headers=bearer)
        assert made.status_code == 422
        assert "purpose" in made.json()["detail"]
        brand = PERSON | {"kind": "brand"}
        assert (await there.api.post("/v1/subjects", json=brand, headers=bearer)).is_success
        changed = await there.api.put("/v1/subjects/jo", json=PERSON, headers=bearer)
        assert changed.status_code == 422
