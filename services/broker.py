"""
How to reach Kafka: connection settings for each client, the topics that must be there, Follower.

It holds no producer and no consumer group: those belong to the services.
"""

import asyncio
import contextlib
import re
import ssl
import threading
import time
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import cache, partial
from importlib import resources
from typing import Any, Literal

import structlog
import yaml
from kafka import KafkaConsumer, TopicPartition
from kafka.admin import KafkaAdminClient
from kafka.errors import KafkaError, KafkaTimeoutError, TopicAlreadyExistsError
from pydantic import Field, SecretStr

from services.process import Settings
from uproar.errors import Misconfigured, Unavailable
from uproar.wire import Record

log = structlog.get_logger(room="broker")

BOOTSTRAP_TIMEOUT_MS = 10_000
CREATE_TIMEOUT_MS = 20_000
_LOOK_AGAIN_S = 0.1
FETCH_WAIT_MS = 100
"""
How long a broker may let a fetch wait for records. Apache Kafka answers as soon as there are some; the
embedded one looks again only after about half the time: from a write to its reader a record took 0.37 s
(one in ten 0.7 s) where 1.5 s were allowed, 0.08 s (0.13 s) at 0.5 s, and 0.01 s (0.06 s) at 0.1 s.
"""
_DAY_MS = 24 * 60 * 60 * 1000


class KafkaSettings(Settings):
    """How to reach the broker: ``UPROAR_KAFKA_*``."""

    bootstrap_servers: str = Field(
        default="127.0.0.1:9092", validation_alias="UPROAR_KAFKA_BOOTSTRAP_SERVERS"
    )
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        default="PLAINTEXT", validation_alias="UPROAR_KAFKA_SECURITY_PROTOCOL"
    )
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        default="SCRAM-SHA-512", validation_alias="UPROAR_KAFKA_SASL_MECHANISM"
    )
    sasl_username: str | None = Field(default=None, validation_alias="UPROAR_KAFKA_SASL_USERNAME")
    sasl_password: SecretStr | None = Field(
        default=None, validation_alias="UPROAR_KAFKA_SASL_PASSWORD"
    )
    ssl_cafile: str | None = Field(default=None, validation_alias="UPROAR_KAFKA_SSL_CAFILE")
    ssl_certfile: str | None = Field(default=None, validation_alias="UPROAR_KAFKA_SSL_CERTFILE")
    ssl_keyfile: str | None = Field(default=None, validation_alias="UPROAR_KAFKA_SSL_KEYFILE")
    partitions: int | None = Field(
        default=None, ge=1, le=1000, validation_alias="UPROAR_KAFKA_PARTITIONS"
    )
    replication: int = Field(default=1, ge=1, le=10, validation_alias="UPROAR_KAFKA_REPLICATION")

    @property
    def servers(self) -> list[str]:
        """Every ``host:port`` of the bootstrap list."""
        return [server.strip() for server in self.bootstrap_servers.split(",") if server.strip()]

    @property
    def encrypted(self) -> bool:
        """Whether the connection is over TLS."""
        return self.security_protocol in {"SSL", "SASL_SSL"}

    @property
    def password(self) -> str:
        """The SASL password in plain text."""
        return self.sasl_password.get_secret_value() if self.sasl_password else ""

    def tls(self) -> ssl.SSLContext | None:
        """
        Return the TLS context, or None without TLS.

        Raises:
            Misconfigured: A certificate or key cannot be read.
        """
        if not self.encrypted:
            return None
        try:
            context = ssl.create_default_context(cafile=self.ssl_cafile)
            if self.ssl_certfile:
                context.load_cert_chain(self.ssl_certfile, self.ssl_keyfile)
        except OSError as error:
            raise Misconfigured(f"UPROAR_KAFKA_SSL_*: {error}") from error
        return context


def kafka_python(settings: KafkaSettings) -> dict[str, Any]:
    """Return the connection arguments of every kafka-python client."""
    options: dict[str, Any] = {
        "bootstrap_servers": settings.servers,
        "security_protocol": settings.security_protocol,
        "bootstrap_timeout_ms": BOOTSTRAP_TIMEOUT_MS,
    }
    if settings.encrypted:
        options["ssl_context"] = settings.tls()
    if settings.security_protocol.startswith("SASL"):
        options |= {
            "sasl_mechanism": settings.sasl_mechanism,
            "sasl_plain_username": settings.sasl_username or "",
            "sasl_plain_password": settings.password,
        }
    return options


def aiokafka(settings: KafkaSettings) -> dict[str, Any]:
    """Return the connection arguments of every aiokafka client."""
    options = kafka_python(settings)
    del options["bootstrap_timeout_ms"]
    return options


def librdkafka(settings: KafkaSettings) -> dict[str, Any]:
    """Return the connection settings of every client that stands on librdkafka."""
    options: dict[str, Any] = {
        "bootstrap.servers": ",".join(settings.servers),
        "security.protocol": settings.security_protocol,
    }
    if settings.encrypted:
        settings.tls()  # says which file cannot be read, and why
        ours = ssl.get_default_verify_paths()
        files = {
            "ssl.ca.location": settings.ssl_cafile or ours.cafile or ours.capath,
            "ssl.certificate.location": settings.ssl_certfile,
            "ssl.key.location": settings.ssl_keyfile or settings.ssl_certfile,
        }
        options |= {name: file for name, file in files.items() if file}
    if settings.security_protocol.startswith("SASL"):
        options |= {
            "sasl.mechanism": settings.sasl_mechanism,
            "sasl.username": settings.sasl_username or "",
            "sasl.password": settings.password,
        }
    return options


# --------------------------------------------------------------------------------------- topics


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """One topic as schemas/topics.yaml wants it."""

    name: str
    partitions: int
    configs: dict[str, str]


@cache
def topic_table() -> dict[str, Any]:
    """Return schemas/topics.yaml, parsed."""
    text = resources.files("schemas").joinpath("topics.yaml").read_text(encoding="utf-8")
    table: dict[str, Any] = yaml.safe_load(text)
    return table


_SCALABLE = {"uproar.posts.v1", "uproar.assessments.v1"}


def topic_specs(settings: KafkaSettings) -> dict[str, TopicSpec]:
    """Return every topic, dead letters and changelogs included, as this installation wants it."""
    table = topic_table()
    specs: dict[str, TopicSpec] = {}
    for name, row in table["topics"].items():
        count = (
            settings.partitions if name in _SCALABLE and settings.partitions else row["partitions"]
        )
        specs[name] = TopicSpec(name, count, _configs(row, settings))
        dead = table["dead_letters"]
        specs[f"{name}.dlq"] = TopicSpec(
            f"{name}.dlq", dead["partitions"], _configs(dead, settings)
        )
    for name, row in table["changelogs"].items():
        specs[name] = TopicSpec(
            name, specs[row["partitions_of"]].partitions, _configs(row, settings)
        )
    return specs


def _configs(row: dict[str, Any], settings: KafkaSettings) -> dict[str, str]:
    configs = {"cleanup.policy": str(row["cleanup"])}
    if match := re.fullmatch(r"(\d+)d", str(row.get("retention", ""))):
        configs["retention.ms"] = str(int(match[1]) * _DAY_MS)
    if row["cleanup"] == "compact":
        configs |= {"segment.ms": "600000", "min.cleanable.dirty.ratio": "0.1"}
    if settings.replication > 1:
        configs["min.insync.replicas"] = str(min(2, settings.replication))
    return configs


def ensure_topics(settings: KafkaSettings) -> None:
    """
    Create the topics that are missing and check the partition counts of those that are there.

    Blocks until every topic is seen, for some seconds: the nodes of a cluster hear of a new one
    each in its time, and any of them may answer.

    Raises:
        Unavailable: No broker answers, or none shows the topics in time.
        Misconfigured: A topic has another partition count than wanted: Faust would say "Ready"
            and consume nothing.
    """
    specs = topic_specs(settings)
    try:
        admin = KafkaAdminClient(**kafka_python(settings))
    except KafkaError as error:
        raise Unavailable(f"no Kafka at {settings.bootstrap_servers}: {error}") from error
    try:
        there = _partition_counts(admin)
        _create(admin, [spec for name, spec in specs.items() if name not in there], settings)
        there = _once_seen(admin, specs.keys())
    except (KafkaError, OSError) as error:
        raise Unavailable(f"Kafka at {settings.bootstrap_servers}: {error}") from error
    finally:
        with contextlib.suppress(Exception):
            admin.close()
    wrong = [
        f"topic {name} has {there[name]} partitions instead of {spec.partitions}"
        for name, spec in specs.items()
        if there[name] != spec.partitions
    ]
    if wrong:
        raise Misconfigured(
            "\n".join(wrong) + "\nset UPROAR_KAFKA_PARTITIONS to what is there, or use other topics"
        )


def survey(settings: KafkaSettings, *, patience_ms: int = 4_000) -> dict[str, int]:
    """
    Look at the topics that are there, without making any: name -> partition count.

    Raises:
        Unavailable: No broker lets us in. The client keeps the reason to its log ("kafka").
    """
    try:
        admin = KafkaAdminClient(**kafka_python(settings) | {"bootstrap_timeout_ms": patience_ms})
    except KafkaError as error:
        raise Unavailable(f"no Kafka at {settings.bootstrap_servers}: {error}") from error
    try:
        return _partition_counts(admin)
    except (KafkaError, OSError) as error:
        raise Unavailable(f"Kafka at {settings.bootstrap_servers}: {error}") from error
    finally:
        with contextlib.suppress(Exception):
            admin.close()


def _create(admin: KafkaAdminClient, specs: list[TopicSpec], settings: KafkaSettings) -> None:
    if not specs:
        return
    wanted = {
        spec.name: {
            "num_partitions": spec.partitions,
            "replication_factor": settings.replication,
            "configs": spec.configs,
        }
        for spec in specs
    }
    with contextlib.suppress(TopicAlreadyExistsError):  # another process was quicker
        admin.create_topics(wanted, timeout_ms=CREATE_TIMEOUT_MS)
    admin.wait_for_topics(list(wanted))
    log.info("topics created", topics=sorted(wanted))


def _once_seen(admin: KafkaAdminClient, names: AbstractSet[str]) -> dict[str, int]:
    """Count the partitions as soon as a node that answers knows all these topics."""
    end = time.monotonic() + CREATE_TIMEOUT_MS / 1000
    while missing := names - (there := _partition_counts(admin)).keys():
        if time.monotonic() >= end:
            raise KafkaTimeoutError(
                f"no node shows {', '.join(sorted(missing))}: "
                "they were made just now, or this user may not describe them"
            )
        time.sleep(_LOOK_AGAIN_S)
    return there


def _partition_counts(admin: KafkaAdminClient) -> dict[str, int]:
    described = admin.describe_topics(admin.list_topics())
    # One node lists, another describes; what that one has not heard of yet has no partitions there.
    return {topic["name"]: len(topic["partitions"]) for topic in described if topic["partitions"]}


def partition_count(settings: KafkaSettings, topic: str) -> int:
    """Return how many partitions this installation wants a topic to have."""
    return topic_specs(settings)[topic].partitions


# ------------------------------------------------------------------------------------- Follower


class Follower:
    """
    A topic read whole, and then on, without a consumer group: every process sees every record.

    A thread reads; ``handle`` is called on the event loop, in order of each partition, with what
    one poll brought. Connection losses are healed by reading the whole topic anew, so ``handle``
    must take repeats: it is meant for topics where the newest record of a key is the truth.
    """

    def __init__(
        self, settings: KafkaSettings, topic: str, handle: Callable[[list[Record]], None]
    ) -> None:
        self.whole = asyncio.Event()
        self.problem: str | None = f"{topic} has not been read yet"
        self._settings, self._topic, self._handle = settings, topic, handle
        self._stopping = threading.Event()
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, name=f"follow {topic}", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    async def stop(self) -> None:
        """Read no further; returns when the thread has ended."""
        self._stopping.set()
        if self._thread.is_alive():
            await asyncio.to_thread(self._thread.join, 10)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._read()
            except (KafkaError, OSError, AssertionError) as error:
                reason = f"{self._topic} cannot be read: {error!r}"
                self._tell(partial(self._fail, reason))
                log.warning("cannot follow", topic=self._topic, reason=repr(error))
                self._stopping.wait(1.0)
            except Exception as error:  # a bug of ours must not die unseen in a thread
                self._tell(partial(self._fail, f"bug: {error!r}"))
                log.exception("follower crashed", topic=self._topic)
                return

    def _read(self) -> None:
        consumer = KafkaConsumer(
            **kafka_python(self._settings),
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            allow_auto_create_topics=False,
            fetch_max_wait_ms=FETCH_WAIT_MS,
        )
        try:
            numbers = consumer.partitions_for_topic(self._topic)
            if not numbers:
                raise Unavailable(f"topic {self._topic} does not exist yet")
            partitions = [TopicPartition(self._topic, number) for number in sorted(numbers)]
            consumer.assign(partitions)
            consumer.seek_to_beginning(*partitions)
            ends = consumer.end_offsets(partitions)
            whole = False
            while not self._stopping.is_set():
                batches = consumer.poll(timeout_ms=250)
                records = [_record(message) for batch in batches.values() for message in batch]
                if records:
                    self._tell(partial(self._handle, records))
                if not whole and all(consumer.position(p) >= end for p, end in ends.items()):
                    whole = True
                    self._tell(self._is_whole)
        except Unavailable as error:
            raise KafkaError(str(error)) from error
        finally:
            with contextlib.suppress(Exception):
                consumer.close(timeout_ms=1000)

    def _fail(self, reason: str) -> None:
        self.problem = reason

    def _is_whole(self) -> None:
        self.problem = None
        self.whole.set()

    def _tell(self, what: Callable[[], None]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has been closed: the process ends
            self._loop.call_soon_threadsafe(what)


def _record(message: Any) -> Record:
    return Record(
        topic=message.topic,
        partition=message.partition,
        offset=message.offset,
        key=message.key,
        value=message.value,
        headers=tuple(message.headers or ()),
    )
