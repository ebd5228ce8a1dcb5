"""Plan: what `uproar up` reads from the environment, and the environment it gives to each service."""

import contextlib
import os
import secrets
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from services.alerter.settings import AlerterSettings
from services.alerter.settings import read as read_config
from services.classifier.settings import ClassifierSettings
from services.ingest.settings import IngestSettings
from uproar.errors import Misconfigured

CONFIG = Path("uproar.toml")
"""What `uproar init` writes and `uproar up` finds without being told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """
    The whole house.

    Attributes:
        kafka: The broker that the environment names; None for the embedded one.
        ingest, classifier, alerter: The settings of the services, as they will read them.
    """

    kafka: str | None
    ingest: IngestSettings
    classifier: ClassifierSettings
    alerter: AlerterSettings

    @classmethod
    def load(cls) -> Self:
        """
        Read the environment and the files it names, so that what is wrong is said before the start.

        Without ``UPROAR_CONFIG`` it is ``uproar.toml``, where there is one.

        Raises:
            Misconfigured: One line for each variable that is wrong; what is wrong in a file.
        """
        if not os.environ.get("UPROAR_CONFIG") and CONFIG.is_file():
            os.environ["UPROAR_CONFIG"] = str(CONFIG.absolute())
        ingest = IngestSettings.load()
        return cls(
            kafka=ingest.bootstrap_servers
            if "bootstrap_servers" in ingest.model_fields_set
            else None,
            ingest=ingest,
            classifier=ClassifierSettings.load(),
            alerter=AlerterSettings.load(),
        )

    def watched(self) -> int:
        """
        Return how many subjects the watch list names.

        Raises:
            Misconfigured: What is wrong in it, or in uproar.toml.
        """
        return len(read_config(self.ingest.config, self.ingest.watch).subjects)

    @property
    def folder(self) -> Path:
        """The data folder, absolute: the services may stand elsewhere."""
        return self.ingest.data_dir.absolute()

    @property
    def logs(self) -> Path:
        """Where each service has its log."""
        return self.folder / "logs"

    def addresses(self) -> dict[str, str]:
        """Return the base URL of each service, as seen from this machine."""
        services = (
            ("ingest", self.ingest.host, self.ingest.port),
            ("classifier", self.classifier.host, self.classifier.port),
            ("alerter", self.alerter.host, self.alerter.port),
        )
        return {name: f"http://{_here(host)}:{port}" for name, host, port in services}

    def check_ports(self) -> None:
        """
        Check that the services' ports are free.

        Raises:
            Misconfigured: Which are not, and what to set.
        """
        taken = []
        for name, host, port in (
            ("INGEST", self.ingest.host, self.ingest.port),
            ("CLASSIFIER", self.classifier.host, self.classifier.port),
            ("ALERTER", self.alerter.host, self.alerter.port),
        ):
            try:
                with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    probe.bind((host, port))
            except OSError as error:
                reason = error.strerror or str(error)
                taken.append(
                    f"{host}:{port}: {reason}: set UPROAR_{name}_PORT to a port that is free"
                )
        if taken:
            raise Misconfigured("\n".join(taken))

    def token_file(self) -> Path | None:
        """
        Return the file of the token that a push must carry; None where the environment has one.

        It is made once, for its owner alone.
        """
        if self.ingest.token is not None:
            return None
        path = token_path(self.folder)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with contextlib.suppress(FileExistsError):
            file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(file, "w", encoding="ascii") as out:
                out.write(secrets.token_urlsafe(32))
        return path

    def environment(self, *, servers: str, epoch: str | None) -> dict[str, str]:
        """
        Return the environment of the services.

        Args:
            servers: The broker.
            epoch: Which life of the embedded broker it is; None for a Kafka that keeps what it has.
        """
        ours = {
            "UPROAR_DATA_DIR": str(self.folder),
            "UPROAR_KAFKA_BOOTSTRAP_SERVERS": servers,
            "UPROAR_LOG_FORMAT": "json",
            "UPROAR_ALERTER_CLASSIFIER_URL": self.addresses()["classifier"],
        }
        for name, path in (
            ("UPROAR_CONFIG", self.ingest.config),
            ("UPROAR_WATCH", self.ingest.watch),
        ):
            if path is not None:
                ours[name] = str(path.absolute())
        if (token := self.token_file()) is not None:
            ours["UPROAR_INGEST_TOKEN_FILE"] = str(token)
        if epoch is not None:
            ours |= {"UPROAR_KAFKA_EPOCH": epoch, "UPROAR_CLASSIFIER_SNAPSHOT": "true"}
        return {**os.environ, **ours}


def where_to_push(to: str | None, token: str | None) -> tuple[str, str | None]:
    """
    Return the base URL of ingest and its token; what is not given is that of this machine.

    Raises:
        Misconfigured: The environment, or the token's file, cannot be read.
    """
    settings = IngestSettings.load()
    if token is None and settings.token is not None:
        token = settings.token.get_secret_value()
    path = token_path(settings.data_dir)
    try:
        if token is None and path.exists():
            token = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise Misconfigured(f"cannot read {path}: {error}") from error
    return to or f"http://{_here(settings.host)}:{settings.port}", token


def token_path(folder: Path) -> Path:
    """Return where `uproar up` keeps the token of ingest that it made itself."""
    return folder / "ingest.token"


def _here(host: str) -> str:
    """Return how this machine reaches a service that listens on ``host``."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    return f"[{host}]" if ":" in host else host
