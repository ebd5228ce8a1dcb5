"""What ingest reads from the environment, beside what every process and every Kafka client reads."""

import hashlib
import ipaddress
import os
import secrets

from pydantic import Field, SecretStr

from services.broker import KafkaSettings
from uproar.errors import Misconfigured


class IngestSettings(KafkaSettings):
    """``UPROAR_INGEST_*`` and the key of the pseudonyms."""

    host: str = Field(default="127.0.0.1", validation_alias="UPROAR_INGEST_HOST")
    port: int = Field(default=8081, ge=0, le=65_535, validation_alias="UPROAR_INGEST_PORT")
    token: SecretStr | None = Field(default=None, validation_alias="UPROAR_INGEST_TOKEN")
    pseudonym_key: SecretStr | None = Field(default=None, validation_alias="UPROAR_PSEUDONYM_KEY")

    def bearer(self) -> bytes | None:
        """
        Return the token that every push must carry; None lets everybody on this machine push.

        Raises:
            Misconfigured: There is none, and others than this machine could push.
        """
        if token := (self.token.get_secret_value().strip() if self.token else ""):
            return token.encode()
        if not _is_loopback(self.host):
            raise Misconfigured(
                f"UPROAR_INGEST_HOST={self.host} lets other machines push: set UPROAR_INGEST_TOKEN"
            )
        return None

    def secret_of_pseudonyms(self) -> bytes:
        """
        Return the key of the pseudonyms (64 bytes).

        Without ``UPROAR_PSEUDONYM_KEY`` it is made once and kept in the data folder, for its owner
        alone: with another key the same author would count as two.

        Raises:
            Misconfigured: The data folder cannot be used.
        """
        given = self.pseudonym_key.get_secret_value().strip() if self.pseudonym_key else ""
        return hashlib.blake2b((given or self._own_key()).encode()).digest()

    def _own_key(self) -> str:
        path = self.data_dir / "pseudonym.key"
        try:
            self.data_dir.mkdir(parents=True, exist_ok=True)
            try:
                file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            except FileExistsError:
                key = path.read_text(encoding="ascii").strip()
            else:
                key = secrets.token_hex(32)
                with os.fdopen(file, "w", encoding="ascii") as out:
                    out.write(key)
        except (OSError, UnicodeDecodeError) as error:
            raise Misconfigured(f"UPROAR_DATA_DIR: cannot use {path}: {error}") from error
        if not key:
            raise Misconfigured(f"{path} is empty: remove it, or set UPROAR_PSEUDONYM_KEY")
        return key


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
