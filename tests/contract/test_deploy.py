"""deploy/: what its files name exists: variables, ports, paths, targets, secrets; nothing runs as root."""

import importlib.util
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from services.alerter.settings import AlerterSettings
from services.classifier.settings import ClassifierSettings
from services.ingest.settings import IngestSettings
from services.process import Health, Settings, add_probes
from services.pseudonyms import PseudonymSettings
from services.traces import _ENDPOINTS

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
DOCKERFILE = (DEPLOY / "Dockerfile").read_text("utf-8")
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))
BASE = DEPLOY / "k8s" / "base"
README = (DEPLOY / "README.md").read_text("utf-8")
OURS: dict[str, type[Settings]] = {
    "ingest": IngestSettings,
    "classifier": ClassifierSettings,
    "alerter": AlerterSettings,
}
WORKLOADS = {"Deployment", "StatefulSet", "Job"}


def manifests() -> list[dict[str, Any]]:
    return [
        document
        for file in sorted(BASE.glob("*.yaml"))
        for document in yaml.safe_load_all(file.read_text("utf-8"))
        if file.name != "kustomization.yaml"
    ]


def of_kind(*kinds: str) -> list[dict[str, Any]]:
    return [document for document in manifests() if document["kind"] in kinds]


def pods() -> list[tuple[str, dict[str, Any]]]:
    """Return the name and the pod of each workload."""
    return [(w["metadata"]["name"], w["spec"]["template"]["spec"]) for w in of_kind(*WORKLOADS)]


KUSTOMIZATION = yaml.safe_load((BASE / "kustomization.yaml").read_text("utf-8"))
SERVICES = {name: each for name, each in COMPOSE["services"].items() if "build" in each}


# -------------------------------------------------------------------------------------- settings


def known() -> set[str]:
    """Return every variable that a process of ours reads, secrets also from their files."""
    names = {
        str(field.validation_alias)
        for settings in (*OURS.values(), PseudonymSettings)
        for field in settings.model_fields.values()
    }
    return names | {f"{name}_FILE" for name in names} | set(_ENDPOINTS)


def named() -> Iterator[tuple[str, str]]:
    """Give every variable that a file of deploy/ sets for our processes, and where."""
    for block in re.findall(r"^ENV (.*?)(?<!\\)$", DOCKERFILE, re.MULTILINE | re.DOTALL):
        for name in re.findall(r"(\w+)=", block):
            yield "Dockerfile", name
    for service, each in SERVICES.items():
        for name in each.get("environment", {}):
            yield f"compose: {service}", name
    for generator in KUSTOMIZATION["configMapGenerator"]:
        for literal in generator["literals"]:
            yield "kustomization", literal.partition("=")[0]
    for workload, pod in pods():
        for each in pod["containers"][0].get("env", ()):
            yield workload, each["name"]


@pytest.mark.parametrize(("where", "name"), sorted(set(named())))
def test_every_variable_is_one_that_our_processes_read(where, name):
    others = {"PATH", "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE", "HF_HOME"}
    assert name in known() or name in others


def test_a_variable_that_nobody_reads_would_be_found():
    assert "UPROAR_KAFKA_SERVERS" not in known()
    assert ("kustomization", "UPROAR_KAFKA_BOOTSTRAP_SERVERS") in set(named())
    assert ("Dockerfile", "UPROAR_DATA_DIR") in set(named())


def test_values_of_the_environment_are_taken_by_the_settings(monkeypatch):
    for literal in KUSTOMIZATION["configMapGenerator"][0]["literals"]:
        monkeypatch.setenv(*literal.split("=", 1))
    for settings in OURS.values():
        settings.load()


@pytest.mark.parametrize("service", OURS)
def test_what_a_service_is_told_by_compose_it_is_told_in_kubernetes_too(service):
    (container,) = [pod["containers"][0] for name, pod in pods() if name == service]
    given = {each["name"] for each in container.get("env", ())}
    for source in container["envFrom"]:
        if "configMapRef" in source:
            literals = KUSTOMIZATION["configMapGenerator"][0]["literals"]
            given |= {literal.partition("=")[0] for literal in literals}
        else:
            (row,) = re.findall(rf"^\| `{source['secretRef']['name']}`.*$", README, re.MULTILINE)
            given |= set(re.findall(r"`(UPROAR_\w+)`", row))
    composed = COMPOSE["services"][service]["environment"]
    assert {name.removesuffix("_FILE") for name in composed} <= given


def test_the_place_of_the_console_is_named_by_who_installs_it():
    (literal,) = [
        each
        for each in KUSTOMIZATION["configMapGenerator"][0]["literals"]
        if each.startswith("UPROAR_ALERTER_PUBLIC_URL=")
    ]
    assert literal.endswith(".invalid"), "it can only be a place to fill in"
    assert "UPROAR_ALERTER_PUBLIC_URL=https://" in README


def test_an_upgrade_lets_the_migration_go_first():
    steps = re.findall(r"^    (kubectl .*)$", README, re.MULTILINE)
    at = steps.index("kubectl -n uproar delete job migrate --ignore-not-found")
    (job,) = of_kind("Job")
    (name, value), *_ = job["metadata"]["labels"].items()
    assert steps[at + 1] == f"kubectl apply -k . -l {name}={value}"
    assert steps[at + 2].startswith("kubectl -n uproar wait job/migrate")
    assert steps[at + 3] == "kubectl apply -k ."


def test_the_alerter_asks_the_classifier_where_it_is():
    variable = "UPROAR_ALERTER_CLASSIFIER_URL"
    port = ClassifierSettings.load().port
    assert COMPOSE["services"]["alerter"]["environment"][variable] == f"http://classifier:{port}"
    (pod,) = [pod for name, pod in pods() if name == "alerter"]
    environment = {each["name"]: each.get("value") for each in pod["containers"][0]["env"]}
    assert environment[variable] == f"http://classifier:{port}"


@pytest.mark.parametrize("service", ["ingest", "alerter"])
def test_who_reads_the_configuration_has_it(service):
    (pod,) = [pod for name, pod in pods() if name == service]
    environment = {each["name"]: each.get("value") for each in pod["containers"][0]["env"]}
    path = Path(environment["UPROAR_CONFIG"])
    mounts = {m["mountPath"]: m["name"] for m in pod["containers"][0]["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    assert volumes[mounts[str(path.parent)]]["secret"]["secretName"] == "uproar-config"
    composed = COMPOSE["services"][service]
    assert (
        f"./.secrets/uproar.toml:{composed['environment']['UPROAR_CONFIG']}:ro"
        in composed["volumes"]
    )


# ------------------------------------------------------------------------- ports, paths, programs


@pytest.mark.parametrize("service", OURS)
def test_every_port_is_the_one_that_the_service_listens_on(service):
    port = OURS[service].load().port  # type: ignore[attr-defined]
    stage = DOCKERFILE.split(f"FROM runtime AS {service}\n")[1].split("\nFROM ")[0]
    assert f"EXPOSE {port}\n" in stage
    assert f"http://127.0.0.1:{port}/live" in stage
    (pod,) = [pod for name, pod in pods() if name == service]
    assert pod["containers"][0]["ports"] == [{"name": "http", "containerPort": port}]
    (offered,) = [s for s in of_kind("Service") if s["metadata"]["name"] == service]
    assert offered["spec"]["ports"] == [{"name": "http", "port": port, "targetPort": "http"}]
    published = COMPOSE["services"][service].get("ports", [f"127.0.0.1:{port}:{port}"])
    assert published == [f"127.0.0.1:{port}:{port}"], "people reach it from this machine only"


def test_every_probe_asks_what_is_answered():
    app = FastAPI()
    add_probes(app, Health(), CollectorRegistry())
    answered = {route.path for route in app.routes}  # type: ignore[attr-defined]
    for name, pod in pods():
        if name == "migrate":
            continue
        container = pod["containers"][0]
        asked = [
            container[probe]["httpGet"]
            for probe in ("startupProbe", "livenessProbe", "readinessProbe")
        ]
        assert {each["path"] for each in asked} <= answered
        assert {each["port"] for each in asked} == {"http"}
        assert asked[1]["path"] == "/live", "a broker that is away is no reason to be killed"
    for workload in of_kind("Deployment", "StatefulSet"):
        told = workload["spec"]["template"]["metadata"]["annotations"]
        assert told["prometheus.io/path"] in answered


def test_what_is_run_is_there():
    commands = [*re.findall(r"^CMD (.*)$", DOCKERFILE, re.MULTILINE)]
    modules = [re.findall(r'"-m", "([\w.]+)"', command) for command in commands]
    assert [module for (module,) in modules] == [f"services.{name}" for name in OURS]
    assert all(importlib.util.find_spec(f"services.{name}.__main__") for name in OURS)
    (migrating,) = [pod for name, pod in pods() if name == "migrate"]
    assert migrating["containers"][0]["command"] == COMPOSE["services"]["migrate"]["command"]
    assert COMPOSE["services"]["migrate"]["command"][-2:] == ["services.alerter", "migrate"]


# ------------------------------------------------------------------------------------------ images


def images() -> list[str]:
    given = [f"{i['newName']}:{i['newTag']}" for i in KUSTOMIZATION["images"]]
    used = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    stages = set(re.findall(r" AS (\S+)$", DOCKERFILE, re.MULTILINE))
    composed = [each["image"] for each in COMPOSE["services"].values()]
    return sorted({*given, *(image for image in used if image not in stages), *composed})


WHOLE = {
    "python": r"\d+\.\d+\.\d+-slim-[a-z]+",  # with the release of Debian below it
    "postgres": r"\d+\.\d+",  # its versions have two numbers
}


@pytest.mark.parametrize("image", images())
def test_every_image_names_a_whole_version_and_not_the_newest_of_many(image):
    name, _, tag = image.partition(":")
    assert re.fullmatch(WHOLE.get(name, r"v?\d+\.\d+\.\d+"), tag), image


def test_both_stages_stand_on_the_same_python():
    assert len(set(re.findall(r"^FROM (python:\S+)", DOCKERFILE, re.MULTILINE))) == 1


def test_every_image_of_ours_has_its_target():
    targets = set(re.findall(r"^FROM runtime AS (\w+)$", DOCKERFILE, re.MULTILINE))
    assert targets == set(OURS)
    for each in SERVICES.values():
        assert each["build"]["target"] in targets
        assert each["image"].startswith(f"uproar/{each['build']['target']}:")
    known_to_kustomize = {each["name"] for each in KUSTOMIZATION["images"]}
    assert {pod["containers"][0]["image"] for _, pod in pods()} <= known_to_kustomize
    assert known_to_kustomize == {f"uproar-{target}" for target in targets}


def test_no_image_runs_as_root_or_has_torch_unless_asked():
    for target in OURS:
        stage = DOCKERFILE.split(f"FROM runtime AS {target}\n")[1].split("\nFROM ")[0]
        assert re.findall(r"^USER (\d+):", stage, re.MULTILINE) == ["10001"]
    installed = re.findall(r'"\.\[(.*?)\]"', DOCKERFILE)
    assert installed == ["ingest,traces", "classifier,traces${EXTRAS}", "alerter,traces"]
    assert 'ARG EXTRAS=""' in DOCKERFILE


def test_what_the_images_are_made_of_is_there():
    root = DEPLOY.parent
    ignored = (root / ".dockerignore").read_text().split()
    for sources in re.findall(r"^COPY (?!--from)(.*) \S+$", DOCKERFILE, re.MULTILINE):
        for source in sources.split():
            assert (root / source).exists()
            assert source not in ignored


# ------------------------------------------------------------------------------------- compose


def test_all_that_the_compose_file_refers_to_is_there():
    services = COMPOSE["services"]
    assert {"kafka", "postgres", "prometheus", "grafana", "migrate", *OURS} == set(services)
    for name, each in services.items():
        for other, how in _depends(each).items():
            assert other in services, name
            if how == "service_healthy":
                assert "healthcheck" in services[other], f"{name} would wait for ever for {other}"
        assert set(each.get("secrets", ())) <= set(COMPOSE["secrets"])
        for value in each.get("environment", {}).values():
            if value.startswith("/run/secrets/"):
                assert value.removeprefix("/run/secrets/") in each["secrets"], name
        for volume in each.get("volumes", ()):
            source = volume.split(":")[0]
            if source.startswith("."):
                assert source == "./.secrets/uproar.toml" or (DEPLOY / source).exists(), source
            else:
                assert source in COMPOSE["volumes"]
    assert set(COMPOSE["volumes"]) >= {"kafka", "postgres", "ingest"}


def _depends(service: dict[str, Any]) -> dict[str, str]:
    given = service.get("depends_on", {})
    if isinstance(given, list):
        return dict.fromkeys(given, "service_started")
    return {name: each["condition"] for name, each in given.items()}


def test_the_secrets_of_the_compose_file_are_made_by_its_script(tmp_path):
    script = DEPLOY / "secrets"
    folder = tmp_path / "deploy"
    folder.mkdir()
    shutil.copy(script, folder / "secrets")
    (tmp_path / "uproar.toml").write_text("[[subject]]")
    (tmp_path / "uproar.toml").chmod(0o600)
    for _ in range(2):
        subprocess.run([str(folder / "secrets")], check=True, capture_output=True)
    made = {path.name: path.read_text() for path in (folder / ".secrets").iterdir()}
    assert made.pop("uproar.toml") == "[[subject]]"
    assert (folder / ".secrets" / "uproar.toml").stat().st_mode & 0o004, "others must read it"
    assert not (folder / ".secrets").stat().st_mode & 0o077
    assert {f"./.secrets/{name}" for name in made} == {
        each["file"] for each in COMPOSE["secrets"].values()
    }
    assert len(set(made.values())) == len(made)
    assert made["postgres_password"] in made["database_url"]
    assert all(len(secret) >= 40 for secret in made.values())


def test_kafka_is_the_version_that_was_tried():
    assert COMPOSE["services"]["kafka"]["image"] == "apache/kafka:4.4.0"
    assert "apache/kafka:4.4.0" in README or "Kafka 4.4" in README


# ------------------------------------------------------------------------------------- kubernetes


def test_every_manifest_is_applied():
    there = {file.name for file in BASE.glob("*.yaml")} - {"kustomization.yaml"}
    assert set(KUSTOMIZATION["resources"]) == there


def test_the_namespace_takes_only_pods_that_keep_to_themselves():
    (namespace,) = of_kind("Namespace")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    for name, pod in pods():
        container = pod["containers"][0]
        assert pod["securityContext"]["runAsNonRoot"], name
        assert pod["automountServiceAccountToken"] is False
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert {"requests", "limits"} <= set(container["resources"])


def test_the_classifier_keeps_its_name_and_the_others_need_none():
    kinds = {w["metadata"]["name"]: w["kind"] for w in of_kind(*WORKLOADS)}
    assert kinds == {
        "ingest": "Deployment",
        "classifier": "StatefulSet",
        "alerter": "Deployment",
        "migrate": "Job",
    }
    (ingest,) = [w for w in of_kind("Deployment") if w["metadata"]["name"] == "ingest"]
    assert ingest["spec"]["replicas"] == 1
    assert ingest["spec"]["strategy"]["type"] == "Recreate"


@pytest.mark.parametrize("service", OURS)
def test_every_service_has_what_belongs_to_it(service):
    label = {"app.kubernetes.io/name": service}
    (budget,) = [b for b in of_kind("PodDisruptionBudget") if b["metadata"]["name"] == service]
    assert budget["spec"]["selector"]["matchLabels"] == label
    assert [a for a in of_kind("ServiceAccount") if a["metadata"]["name"] == service]
    (workload,) = [
        w for w in of_kind("Deployment", "StatefulSet") if w["metadata"]["name"] == service
    ]
    assert workload["spec"]["selector"]["matchLabels"] == label
    assert workload["spec"]["template"]["metadata"]["labels"] == label


def test_secrets_are_only_referred_to_and_the_readme_names_each():
    assert not of_kind("Secret")
    referred = set(re.findall(r"(?:secretRef|secretKeyRef): \{name: ([\w-]+)", _text()))
    referred |= set(re.findall(r"secretName: ([\w-]+)", _text()))
    assert referred == {"uproar-ingest", "uproar-alerter", "uproar-config", "uproar-kafka"}
    assert all(f"`{name}`" in README for name in referred)


def test_nothing_speaks_to_anything_that_is_not_named():
    policies = {each["metadata"]["name"]: each["spec"] for each in of_kind("NetworkPolicy")}
    assert policies["default-deny"] == {
        "podSelector": {},
        "policyTypes": ["Ingress", "Egress"],
    }
    labels = {w["metadata"]["name"] for w in of_kind(*WORKLOADS)}
    for spec in policies.values():
        selector = spec["podSelector"]
        for expression in selector.get("matchExpressions", ()):
            assert set(expression["values"]) <= labels
        assert set(selector.get("matchLabels", {}).values()) <= labels


def _text() -> str:
    return "\n".join(file.read_text("utf-8") for file in BASE.glob("*.yaml"))
