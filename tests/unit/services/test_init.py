import os
import stat
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from services.alerter.settings import read
from services.cli import cli
from services.demo.standins import StandIns
from services.init import Draft, main, receivers, write
from tests.standins import standins as running_standins
from uproar.errors import Malformed, Misconfigured
from uproar.subject import Kind, watch_list


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def standins() -> Iterator[StandIns]:
    with running_standins() as made:
        yield made


def initialise(**given: Any) -> dict[str, Any]:
    """Run init without a terminal and return what it wrote."""
    defaults: dict[str, Any] = {"name": "Acme", "yes": True, "no_try": True, "force": False}
    main(config=Path("uproar.toml"), **(defaults | given))
    return tomllib.loads(Path("uproar.toml").read_text("utf-8"))


def test_a_name_alone_is_enough() -> None:
    written = initialise()
    (subject,) = watch_list(written)
    assert (subject.id, subject.name, subject.kind) == ("acme", "Acme", Kind.BRAND)
    assert read(Path("uproar.toml"), None).receivers[0].name == "local"


def test_all_that_is_said_stands_in_the_file() -> None:
    written = initialise(
        name="Café Zürich",
        handles=("@cafez",),
        aliases=("Cafe Zurich",),
        own_accounts=("@cafez_pr",),
        languages="de, fr",
    )
    (subject,) = watch_list(written)
    assert subject.id == "café-zürich"
    assert subject.handles == ("@cafez",)
    assert subject.aliases == ("Cafe Zurich",)
    assert subject.own_accounts == ("@cafez_pr",)
    assert subject.languages == ("de", "fr")


def test_handles_are_own_accounts_unless_something_else_is_said() -> None:
    (subject,) = watch_list(initialise(handles=("@acme",)))
    assert subject.own_accounts == ("@acme",)


def test_a_person_needs_a_purpose() -> None:
    with pytest.raises(Malformed, match="--purpose is needed"):
        initialise(kind="person")
    assert (
        initialise(kind="person", purpose="asked us to")["subject"][0]["purpose"] == "asked us to"
    )


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"name": None}, "--name is needed"),
        ({"name": " "}, "--name is empty"),
        ({"kind": "canary"}, "--kind 'canary'"),
        ({"receiver": "pigeon"}, "--receiver 'pigeon': use one of slack,"),
        ({"receiver": "slack"}, "--token is needed"),
        ({"receiver": "pagerduty"}, "--routing-key is needed"),
        ({"receiver": "webhook"}, "--url is needed"),
    ],
)
def test_what_is_missing_or_wrong_is_named_and_nothing_is_written(
    given: dict[str, Any], reason: str
) -> None:
    with pytest.raises(Malformed, match=reason):
        initialise(**given)
    assert not Path("uproar.toml").exists()


def test_a_secret_goes_into_a_file_of_its_own_that_only_its_owner_reads() -> None:
    written = initialise(receiver="slack", token="xoxb-1-secret", channel="C0000000001")
    (receiver,) = written["receiver"]
    assert "token" not in receiver
    secret = Path(receiver["token_file"])
    assert secret.read_text() == "xoxb-1-secret"
    for path in (secret, Path("uproar.toml")):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "xoxb-1-secret" not in Path("uproar.toml").read_text()


def test_a_token_that_cannot_be_one_is_refused() -> None:
    with pytest.raises(Misconfigured, match="bot token"):
        initialise(receiver="slack", token="hello", channel="C0000000001")


def test_a_webhook_gets_a_key_when_none_is_given() -> None:
    written = initialise(receiver="webhook", url="https://example.org/hook")
    assert Path(written["receiver"][0]["secret_file"]).read_text().startswith("whsec_")


def test_a_file_that_is_there_is_not_overwritten_unless_forced() -> None:
    initialise()
    with pytest.raises(Misconfigured, match="--force"):
        initialise(name="Other")
    assert initialise(name="Other", force=True)["subject"][0]["name"] == "Other"


def test_a_folder_that_cannot_be_written_is_told() -> None:
    with pytest.raises(Misconfigured, match="cannot write"):
        main(config=Path(os.devnull) / "uproar.toml", name="A", yes=True, no_try=True, force=False)


def test_the_local_receiver_is_the_stand_in(standins: StandIns) -> None:
    assert (standins.token, standins.channel) == (
        receivers.STANDIN_TOKEN,
        receivers.STANDIN_CHANNEL,
    )
    initialise(receiver="local", url=standins.url, no_try=False)
    (trial,) = standins.messages
    assert "uproar" in trial.text


def test_a_receiver_that_does_not_answer_is_told_and_the_file_stays() -> None:
    with pytest.raises(Misconfigured, match=r"uproar\.toml is written, but local does not work"):
        initialise(receiver="local", url="http://127.0.0.1:9", no_try=False)
    assert Path("uproar.toml").exists()


def test_a_person_at_a_terminal_is_asked(standins: StandIns) -> None:
    answers = ["Jane Roe", "person", "she asked", "@jane, @roe", "en", "local", standins.url]
    done = CliRunner().invoke(cli, ["init"], input="\n".join(answers) + "\n")
    assert done.exit_code == 0, done.output
    assert "next: uproar up" in done.output
    (subject,) = watch_list(tomllib.loads(Path("uproar.toml").read_text("utf-8")))
    assert subject.handles == ("@jane", "@roe")
    assert len(standins.messages) == 1


@given(st.text(min_size=1).filter(lambda name: name.isprintable() and name.strip()))
def test_any_name_survives_the_file(name: str) -> None:
    draft = Draft({"id": "x", "name": name}, {"name": name, "type": "slack"}, {})
    document = tomllib.loads(write(draft, Path("secrets")))
    assert document["subject"][0]["name"] == name
    assert document["route"][0]["receivers"] == [name]


def test_a_mail_server_is_asked_for_and_its_password_kept_apart() -> None:
    written = initialise(
        receiver="email",
        server="smtp.acme.example:465",
        sender="pr@acme.example",
        to="a@acme.example, b@acme.example",
        username="pr",
        password="hunter2",
    )
    (receiver,) = written["receiver"]
    assert (receiver["server"], receiver["port"]) == ("smtp.acme.example", 465)
    assert receiver["security"] == "tls"
    assert receiver["to"] == ["a@acme.example", "b@acme.example"]
    assert "hunter2" not in Path("uproar.toml").read_text("utf-8")
    assert Path(receiver["password_file"]).read_text("utf-8") == "hunter2"


def test_alertmanager_may_have_several_instances() -> None:
    written = initialise(receiver="alertmanager", url="http://am-0:9093 http://am-1:9093")
    assert written["receiver"][0]["urls"] == ["http://am-0:9093", "http://am-1:9093"]


def test_slack_gets_buttons_by_the_token_of_the_app() -> None:
    written = initialise(
        receiver="slack", token="xoxb-1", channel="C0123456789", app_token="xapp-1"
    )
    (receiver,) = written["receiver"]
    assert Path(receiver["app_token_file"]).read_text("utf-8") == "xapp-1"
    assert "signing_secret_file" not in receiver
