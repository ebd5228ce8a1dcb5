"""
Doctor: `uproar doctor`: is everything there that uproar needs, and how to mend what is not.

It changes nothing: no topic is made, no message shown to anybody.
"""

import asyncio
import json
import logging
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum

import click
import httpx

from services.alerter import notifiers
from services.alerter.access import Access
from services.alerter.app import routes_of
from services.alerter.notifier import Sent
from services.alerter.notifier.exchange import Surroundings
from services.alerter.settings import read as read_config
from services.alerter.store.database import Database, file_of
from services.alerter.store.migrate import Schema, schema
from services.broker import KafkaSettings, survey, topic_specs
from services.classifier import engine
from services.classifier.engine.int8 import Int8Engine
from services.ingest.settings import read_sources
from services.ingest.sources import build
from services.process import Settings, logs
from services.standalone.embedded import find_binary
from services.standalone.plan import Plan
from uproar.errors import Malformed, Misconfigured, Unavailable

CONNECT_SECONDS = 4.0


class State(StrEnum):
    """What came of a check; a note is nothing to mend."""

    OK = "ok"
    NOTE = "note"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at, how it is, and what to do."""

    check: str
    state: State
    says: str
    mend: str = ""


def main(*, as_json: bool) -> int:
    """Check everything and print it; returns 1 if anything is wrong."""
    wrong = False
    logs("doctor", Settings.load().model_copy(update={"log_level": "error"}))
    for finding in asyncio.run(examine()):
        wrong |= finding.state is State.WRONG
        if as_json:
            click.echo(json.dumps(asdict(finding), ensure_ascii=False))
        else:
            colour = {"ok": "green", "note": "yellow", "wrong": "red"}[finding.state]
            mark = click.style(f"{finding.state:<5}", fg=colour)
            click.echo(f"{mark}  {finding.check:<11} {finding.says}")
            if finding.mend:
                click.echo(f"{'':18} -> {finding.mend}")
    return int(wrong)


async def examine() -> list[Finding]:
    """Make all checks; what one of them needs and another found missing is left out."""
    try:
        plan = Plan.load()
        findings = [_watch_list(plan)]
    except (Misconfigured, Malformed) as error:
        return [Finding("settings", State.WRONG, str(error), "correct the variable or the file")]
    checks: list[Callable[[Plan], Awaitable[list[Finding]]]] = [
        _broker,
        _database,
        _model,
        _networks,
        _services,
        _receivers,
    ]
    for check in checks:
        findings += await check(plan)
    return findings


def _watch_list(plan: Plan) -> Finding:
    if watched := plan.watched():
        return Finding("watch list", State.OK, f"{watched} subjects in the files")
    return Finding("watch list", State.NOTE, "no file names anybody", "uproar init")


# ----------------------------------------------------------------------------------------- broker


async def _broker(plan: Plan) -> list[Finding]:
    if plan.kafka is None:
        try:
            find_binary()
        except Misconfigured as error:
            return [Finding("broker", State.WRONG, str(error))]
        return [Finding("broker", State.OK, "the embedded one, started by `uproar up`")]
    settings = plan.ingest
    for server in settings.servers:
        if problem := await asyncio.to_thread(_knock, settings, server):
            return [problem]
    with _overheard() as lines:
        try:
            there = await asyncio.to_thread(survey, settings)
        except Unavailable as error:
            return [_turned_away(settings, str(error), lines)]
    return [Finding("broker", State.OK, f"{plan.kafka} lets us in"), _topics(settings, there)]


def _knock(settings: KafkaSettings, server: str) -> Finding | None:
    """Connect with TCP, then TLS as the settings say; the Kafka clients cannot tell these apart."""
    host, _, port = server.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS) as plain:
            if settings.encrypted:
                return _handshake(settings, server, plain, host)
            return _speaks_tls(server, plain)
    except ValueError:
        return _wrong(f"{server!r} is no host:port", "set UPROAR_KAFKA_BOOTSTRAP_SERVERS")
    except OSError as error:
        reason = error.strerror or str(error) or "no answer"
        return _wrong(
            f"{server}: {reason}", "is it running, and is UPROAR_KAFKA_BOOTSTRAP_SERVERS right?"
        )


def _handshake(
    settings: KafkaSettings, server: str, plain: socket.socket, host: str
) -> Finding | None:
    try:
        context = settings.tls() or ssl.create_default_context()
        context.wrap_socket(plain, server_hostname=host.strip("[]")).close()
    except Misconfigured as error:
        return _wrong(str(error), "name files that can be read")
    except ssl.SSLCertVerificationError as error:
        return _wrong(
            f"{server}: its certificate is not trusted: {error.verify_message}",
            "set UPROAR_KAFKA_SSL_CAFILE to the authority that signed it, and use the name that "
            "stands in it",
        )
    except ssl.SSLError as error:
        if "CERTIFICATE" in str(error.reason):
            return _wrong(f"{server}: it wants a certificate of ours: {error.reason}", _OURS)
        return _no_tls(server, str(error.reason))
    except OSError as error:
        return _no_tls(server, error.strerror or str(error))
    return None


_OURS = "set UPROAR_KAFKA_SSL_CERTFILE and UPROAR_KAFKA_SSL_KEYFILE"


def _no_tls(server: str, reason: str) -> Finding:
    return _wrong(
        f"{server} does not speak TLS ({reason})",
        "set UPROAR_KAFKA_SECURITY_PROTOCOL to PLAINTEXT or SASL_PLAINTEXT, or use its TLS port",
    )


def _speaks_tls(server: str, plain: socket.socket) -> Finding | None:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    plain.settimeout(1.0)  # a broker without TLS says nothing, or hangs up
    try:
        context.wrap_socket(plain).close()
    except OSError:
        return None
    return _wrong(
        f"{server} speaks TLS, and we do not",
        "set UPROAR_KAFKA_SECURITY_PROTOCOL to SSL or SASL_SSL",
    )


def _turned_away(settings: KafkaSettings, error: str, lines: list[str]) -> Finding:
    """Say why the client did not get in, from what it wrote into its log."""
    known = any("Broker version identified" in line for line in lines)
    refused = any("Authentication" in line or "Sasl" in line for line in lines)
    if settings.security_protocol.startswith("SASL") and (refused or known):
        return _wrong(
            f"{settings.bootstrap_servers} refuses user {settings.sasl_username!r} "
            f"with {settings.sasl_mechanism}",
            "check UPROAR_KAFKA_SASL_USERNAME, _PASSWORD and _MECHANISM",
        )
    if known:
        return _wrong(
            f"{settings.bootstrap_servers} hangs up on us without a password",
            "set UPROAR_KAFKA_SECURITY_PROTOCOL to SASL_SSL or SASL_PLAINTEXT, and UPROAR_KAFKA_SASL_*",
        )
    last = next((line for line in reversed(lines) if "ootstrap" not in line), error)
    return _wrong(f"{error}; {last[:300]}", "is this port one of Kafka?")


def _wrong(says: str, mend: str) -> Finding:
    return Finding("broker", State.WRONG, says, mend)


@contextmanager
def _overheard() -> Iterator[list[str]]:
    """Collect what the Kafka client writes into its log: the reason is nowhere else."""
    lines: list[str] = []

    class Ear(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())

    log, ear = logging.getLogger("kafka"), Ear()
    level, propagated = log.level, log.propagate
    log.addHandler(ear)
    log.setLevel(logging.INFO)
    log.propagate = False
    try:
        yield lines
    finally:
        log.removeHandler(ear)
        log.setLevel(level)
        log.propagate = propagated


def _topics(settings: KafkaSettings, there: dict[str, int]) -> Finding:
    specs = topic_specs(settings)
    wrong = [
        f"{name} has {there[name]} partitions instead of {spec.partitions}"
        for name, spec in specs.items()
        if name in there and there[name] != spec.partitions
    ]
    if wrong:
        mend = "set UPROAR_KAFKA_PARTITIONS to what is there, or use other topics"
        return Finding("topics", State.WRONG, "; ".join(wrong), mend)
    if missing := sorted(specs.keys() - there.keys()):
        says = f"{len(missing)} of {len(specs)} are not there yet: services make them at the start"
        return Finding("topics", State.NOTE, says)
    return Finding("topics", State.OK, f"all {len(specs)} are there")


# ----------------------------------------------------------------------------------- what is ours


async def _database(plan: Plan) -> list[Finding]:
    url = plan.alerter.database_url
    try:
        file = file_of(url)
        if file is not None and not file.exists():
            return [Finding("database", State.NOTE, f"{file} will be made at the first start")]
        database = Database(url)
        try:
            return [await _tables(database)]
        finally:
            await database.close()
    except (Misconfigured, Unavailable) as error:
        says = str(error)
    except Exception as error:
        # In its driver's words: a wrong password, a file that is no database.
        says = str(error).partition("\n")[0] or repr(error)
    mend = "is it running, and is UPROAR_DATABASE_URL right?"
    return [Finding("database", State.WRONG, says, mend)]


async def _tables(database: Database) -> Finding:
    stands = await schema(database)
    if stands is Schema.NONE:
        says = "answers; its tables will be made at the first start"
        return Finding("database", State.NOTE, says)
    if stands is Schema.OLDER:
        says = "answers; its tables are of an older uproar, and will be migrated at the next start"
        return Finding("database", State.NOTE, says)
    keys = await Access(database, lambda: datetime.now(UTC)).keys()
    return Finding("database", State.OK, f"answers; {len(keys)} keys")


async def _model(plan: Plan) -> list[Finding]:
    settings = plan.classifier

    def try_it() -> str:
        model = engine.load(settings.model, device=settings.device)
        begun = time.monotonic()
        row = model.score(["They broke my guitar and laughed about it."])[0]
        took = (time.monotonic() - begun) * 1000
        way = f" ({model.encoder} encoder)" if isinstance(model, Int8Engine) else ""
        return f"{model.name}{way} scores a complaint {row[0]:.2f} negative in {took:.0f} ms"

    try:
        return [Finding("model", State.OK, await asyncio.to_thread(try_it))]
    except (Misconfigured, Unavailable) as error:
        return [Finding("model", State.WRONG, str(error), "see UPROAR_MODEL, UPROAR_DEVICE")]


async def _networks(plan: Plan) -> list[Finding]:
    try:
        sources = build(read_sources(plan.ingest.config))
    except Misconfigured as error:
        return [Finding("sources", State.WRONG, str(error), "correct [[source]] in uproar.toml")]
    if not sources:
        return [Finding("sources", State.OK, "no [[source]]: posts are pushed or replayed")]
    names = ", ".join(source.name for source in sources)
    return [Finding("sources", State.OK, f"ingest can read {names}")]


async def _services(plan: Plan) -> list[Finding]:
    findings = []
    async with httpx.AsyncClient(timeout=CONNECT_SECONDS, trust_env=False) as http:
        for name, address in plan.addresses().items():
            findings.append(await _service(http, name, address))
        if findings[-1].state is not State.NOTE:
            findings += await _sources(http, plan.addresses()["alerter"])
    if all(finding.state is State.NOTE for finding in findings):
        return [Finding("services", State.NOTE, "none runs on this machine", "uproar up")]
    return [
        Finding(f.check, State.WRONG, f.says, "uproar up") if f.state is State.NOTE else f
        for f in findings
    ]


async def _service(http: httpx.AsyncClient, name: str, address: str) -> Finding:
    try:
        body = (await http.get(f"{address}/ready")).json()
        ready, lacking = body["ready"], {**body.get("problems", {}), **body.get("degraded", {})}
    except httpx.TransportError:
        return Finding(name, State.NOTE, f"does not run at {address}")
    except (ValueError, AttributeError, TypeError, KeyError):
        says = f"what answers at {address} is not uproar"
        return Finding(name, State.WRONG, says, f"set UPROAR_{name.upper()}_PORT")
    if ready and not lacking:
        return Finding(name, State.OK, f"ready at {address}")
    says = "; ".join(f"{part}: {why}" for part, why in lacking.items())
    return Finding(name, State.WRONG, f"not ready: {says}", "see its log")


async def _sources(http: httpx.AsyncClient, address: str) -> list[Finding]:
    try:
        sources = (await http.get(f"{address}/v1/status")).json()["sources"]
    except (httpx.TransportError, ValueError, KeyError):
        return []
    return [
        Finding("source", State.WRONG, f"{source['name']} is not heard of", "is its sender alive?")
        if source["state"] == "blind"
        else Finding("source", State.OK, f"{source['name']} is {source['state']}")
        for source in sources
    ]


async def _receivers(plan: Plan) -> list[Finding]:
    document = read_config(plan.alerter.config, plan.alerter.watch)
    if not document.receivers:
        return [Finding("receivers", State.NOTE, "nobody would be paged", "uproar init")]
    findings = []
    async with notifiers.new_client() as client:
        surroundings = Surroundings(
            client=client, installation="doctor", clock=lambda: datetime.now(UTC)
        )
        try:
            made = notifiers.build(document.receivers, surroundings)
            routes_of(document)
        except Misconfigured as error:
            return [Finding("receivers", State.WRONG, str(error), "correct uproar.toml")]
        for name, notifier in made.items():
            outcome = await notifier.check()
            if isinstance(outcome, Sent):
                findings.append(Finding("receiver", State.OK, f"{name} would get a page"))
            else:
                mend = "correct its [[receiver]] table in uproar.toml"
                findings.append(Finding("receiver", State.WRONG, f"{name}: {outcome.reason}", mend))
    return findings
