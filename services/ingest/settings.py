"""What ingest reads from the environment, beside what every process and every Kafka client reads."""

import ipaddress

from pydantic import Field, SecretStr

from services.broker import KafkaSettings
from services.pseudonyms import PseudonymSettings
from uproar.errors import Misconfigured


class IngestSettings(KafkaSettings, PseudonymSettings):
    """``UPROAR_INGEST_*`` and the key of the pseudonyms."""

    host: str = Field(default="127.0.0.1", validation_alias="UPROAR_INGEST_HOST")
    port: int = Field(default=8081, ge=0, le=65_535, validation_alias="UPROAR_INGEST_PORT")
    token: SecretStr | None = Field(default=None, validation_alias="UPROAR_INGEST_TOKEN")

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


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
