"""Settings of the classifier: their names, their defaults, and what is refused."""

from datetime import timedelta
from pathlib import Path

import pytest

from services.classifier.settings import Agent, ClassifierSettings
from uproar.errors import Misconfigured


def test_without_an_environment_both_agents_run_on_this_machine():
    settings = ClassifierSettings.load()
    assert settings.agents == (Agent.SCORE, Agent.DETECT)
    assert (settings.host, settings.port) == ("127.0.0.1", 8082)
    assert (settings.model, settings.device, settings.snapshot) == (None, "cpu", False)
    assert settings.directory == Path(".uproar/classifier")
    assert settings.session == timedelta(seconds=6)


def test_every_field_has_its_variable(monkeypatch):
    variables = {
        "UPROAR_CLASSIFIER_HOST": "0.0.0.0",
        "UPROAR_CLASSIFIER_PORT": "9000",
        "UPROAR_CLASSIFIER_AGENTS": "detect",
        "UPROAR_CLASSIFIER_BATCH": "64",
        "UPROAR_CLASSIFIER_SESSION_SECONDS": "10",
        "UPROAR_CLASSIFIER_STALL_SECONDS": "30",
        "UPROAR_CLASSIFIER_SNAPSHOT": "true",
        "UPROAR_CLASSIFIER_SNAPSHOT_SECONDS": "5",
        "UPROAR_KAFKA_EPOCH": "1",
        "UPROAR_MODEL": "/models/mine",
        "UPROAR_DEVICE": "cuda",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    settings = ClassifierSettings.load()
    assert (settings.host, settings.port, settings.agents) == ("0.0.0.0", 9000, (Agent.DETECT,))
    assert (settings.batch, settings.snapshot, settings.snapshot_seconds) == (64, True, 5)
    assert (settings.session, settings.stall) == (timedelta(seconds=10), timedelta(seconds=30))
    assert (settings.epoch, settings.model, settings.device) == ("1", "/models/mine", "cuda")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("UPROAR_CLASSIFIER_AGENTS", "score,guess"),
        ("UPROAR_CLASSIFIER_AGENTS", ""),
        ("UPROAR_CLASSIFIER_PORT", "70000"),
        ("UPROAR_CLASSIFIER_SESSION_SECONDS", "1"),
        ("UPROAR_DEVICE", "tpu"),
    ],
)
def test_a_wrong_value_is_refused_by_the_name_of_its_variable(monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    with pytest.raises(Misconfigured, match=name):
        ClassifierSettings.load()
