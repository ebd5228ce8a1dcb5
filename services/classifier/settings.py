"""Settings of the classifier: ``UPROAR_CLASSIFIER_*``, the model and the broker."""

from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field
from pydantic_settings import NoDecode

from services.broker import KafkaSettings


class Agent(StrEnum):
    """What a classifier process may do; by default both."""

    SCORE = "score"
    DETECT = "detect"


def _names(text: Any) -> Any:
    return tuple(t.strip() for t in text.split(",")) if isinstance(text, str) else text


class ClassifierSettings(KafkaSettings):
    """What the classifier reads from the environment."""

    host: str = Field(default="127.0.0.1", validation_alias="UPROAR_CLASSIFIER_HOST")
    port: int = Field(default=8082, ge=1, le=65_535, validation_alias="UPROAR_CLASSIFIER_PORT")
    agents: Annotated[tuple[Agent, ...], NoDecode, BeforeValidator(_names)] = Field(
        default=tuple(Agent), min_length=1, validation_alias="UPROAR_CLASSIFIER_AGENTS"
    )
    model: str | None = Field(default=None, validation_alias="UPROAR_MODEL")
    device: str = Field(default="cpu", pattern="^(cpu|cuda)$", validation_alias="UPROAR_DEVICE")
    threads: int | None = Field(
        default=None, ge=1, le=256, validation_alias="UPROAR_CLASSIFIER_THREADS"
    )
    batch: int = Field(default=256, ge=1, le=4096, validation_alias="UPROAR_CLASSIFIER_BATCH")
    session_seconds: int = Field(
        default=6, ge=6, le=30, validation_alias="UPROAR_CLASSIFIER_SESSION_SECONDS"
    )
    stall_seconds: int = Field(default=60, ge=5, validation_alias="UPROAR_CLASSIFIER_STALL_SECONDS")
    snapshot: bool = Field(default=False, validation_alias="UPROAR_CLASSIFIER_SNAPSHOT")
    snapshot_seconds: int = Field(
        default=300, ge=1, validation_alias="UPROAR_CLASSIFIER_SNAPSHOT_SECONDS"
    )
    epoch: str | None = Field(default=None, validation_alias="UPROAR_KAFKA_EPOCH")

    @property
    def directory(self) -> Path:
        """Where the classifier keeps its files."""
        return self.data_dir / "classifier"

    @property
    def session(self) -> timedelta:
        """After how long without a sign of life the broker gives our partitions to others."""
        return timedelta(seconds=self.session_seconds)

    @property
    def stall(self) -> timedelta:
        """After how long without progress the process is no longer ready."""
        return timedelta(seconds=self.stall_seconds)
