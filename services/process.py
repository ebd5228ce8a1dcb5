"""
What every process is: settings, logs, health, HTTP on the loop, signals and exit codes.

It knows no broker, no database and no model.
"""

import asyncio
import json
import logging
import os
import re
import signal
import socket
import sys
import tomllib
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator
from datetime import timedelta
from enum import IntEnum
from pathlib import Path
from typing import Any, Literal, Self

import structlog
import uvicorn
import yaml
from fastapi import FastAPI, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from pydantic import Field, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from services import traces
from uproar.errors import Malformed, Misconfigured, Unavailable

log = structlog.get_logger(room="process")


class Exit(IntEnum):
    """How a process ends; a supervisor starts 69, 70 and 71 again, but not 78."""

    OK = 0
    CANNOT_START = 69
    BUG = 70
    STUCK = 71
    MISCONFIGURED = 78


# ------------------------------------------------------------------------------------- settings

MAX_SECRET_BYTES = 64 * 1024
MAX_DOCUMENT_BYTES = 64 * 1024 * 1024
_CHUNK_BYTES = 64 * 1024


def read_text(path: Path, *, most: int) -> str:
    """
    Read a small file of a person's; one that never ends (a device) is not read to its end.

    Raises:
        Misconfigured: It cannot be read, holds more bytes than ``most``, or is not UTF-8.
    """
    try:
        raw = bytearray()
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                raw += chunk
                if len(raw) > most:
                    raise Misconfigured(f"cannot read {path}: more than {most} bytes")
        return raw.decode()
    except (OSError, ValueError) as error:  # a null byte in a path is a ValueError
        raise Misconfigured(f"cannot read {path}: {error}") from error


class _SecretFiles(PydanticBaseSettingsSource):
    """``UPROAR_X_FILE`` names a file whose content, less the last line break, is ``UPROAR_X``."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        name = field.validation_alias
        if not isinstance(name, str) or not (path := os.environ.get(f"{name}_FILE")):
            return None, field_name, False
        try:
            text = read_text(Path(path), most=MAX_SECRET_BYTES)
        except Misconfigured as error:
            raise Misconfigured(f"{name}_FILE: {error}") from error
        return text.rstrip("\r\n"), name, False

    def __call__(self) -> dict[str, Any]:
        found = (self.get_field_value(f, n) for n, f in self.settings_cls.model_fields.items())
        return {name: value for value, name, _ in found if value is not None}


class Settings(BaseSettings):
    """
    What every process reads from the environment; each service adds fields of its own.

    A field names its variable as ``validation_alias``; a secret may come from ``<NAME>_FILE``.
    """

    model_config = SettingsConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)

    data_dir: Path = Field(default=Path(".uproar"), validation_alias="UPROAR_DATA_DIR")
    config: Path | None = Field(default=None, validation_alias="UPROAR_CONFIG")
    watch: Path | None = Field(default=None, validation_alias="UPROAR_WATCH")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", validation_alias="UPROAR_LOG_LEVEL"
    )
    log_format: Literal["console", "json"] = Field(
        default="console", validation_alias="UPROAR_LOG_FORMAT"
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, _SecretFiles(settings_cls)

    @classmethod
    def load(cls) -> Self:
        """
        Read the environment.

        Raises:
            Misconfigured: One line for each variable that is wrong; never its value.
        """
        try:
            return cls()
        except ValidationError as error:
            lines = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
            raise Misconfigured("\n".join(lines)) from error


class _Yaml(yaml.SafeLoader):
    """
    YAML without its traps.

    PyYAML's time grows with the square of the depth, and libyaml dies of it: 64 levels will do. A few
    aliases of aliases are a billion values to whoever writes them out: there are none.
    """

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Compose a node, unless it stands too deep or is an alias."""
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("an alias (*name) is not taken: write it out")
        self.depth += 1
        if self.depth > 64:
            raise yaml.YAMLError("nested too deeply")
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


def read_document(path: Path) -> dict[str, Any]:
    """
    Read a TOML, JSON or YAML file (told by its suffix; anything else is TOML).

    Raises:
        Misconfigured: The file cannot be read.
        Malformed: It is not of its format; the reason names the line.
    """
    text = read_text(path, most=MAX_DOCUMENT_BYTES)
    try:
        if path.suffix == ".json":
            document = json.loads(text)
        elif path.suffix in {".yaml", ".yml"}:
            document = yaml.load(text, Loader=_Yaml)  # noqa: S506 - it is a safe one
        else:
            document = tomllib.loads(text)
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        raise Malformed(f"{path}: {error}") from error
    if not isinstance(document, dict):
        raise Malformed(f"{path}: must hold a table, not {type(document).__name__}")
    return document


# ----------------------------------------------------------------------------------------- logs

_SECRETS = re.compile(
    r"(?:xox[abeprs]|xapp)-[\w-]+|whsec_[\w+/=]+|Bearer\s+\S+|hooks\.slack\.com/\S+"
    r"|(?i:\b(?:token|password|secret|routing_key|api_key)=)[^\s&]+"
)


def _redact(_: Any, __: str, event: structlog.types.EventDict) -> structlog.types.EventDict:
    return {
        key: _SECRETS.sub("[secret]", value) if isinstance(value, str) else value
        for key, value in event.items()
    }


def logs(service: str, settings: Settings) -> None:
    """Send structlog and the standard library's log to stderr in one format, secrets taken out."""
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _redact,
    ]
    renderer: structlog.types.Processor = (
        structlog.processors.JSONRenderer()
        if settings.log_format == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level.upper())
    for chatty in ("kafka", "aiokafka", "faust", "mode", "httpx", "httpcore", "uvicorn.access"):
        logging.getLogger(chatty).setLevel(max(logging.WARNING, root.level))
    # It warns of every name look-up and handshake that takes 100 ms on a busy machine.
    logging.getLogger("kafka.net.selector").setLevel(max(logging.ERROR, root.level))
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(root.level),
        cache_logger_on_first_use=False,  # a cached logger outlives its stream
    )
    structlog.contextvars.bind_contextvars(service=service)


# --------------------------------------------------------------------------------------- health


class Health:
    """What a process needs in order to work, and what of it is missing."""

    def __init__(self) -> None:
        self._checks: dict[str, Callable[[], str | None]] = {}
        self._degraded: dict[str, Callable[[], str | None]] = {}

    def watch(self, part: str, check: Callable[[], str | None], *, vital: bool = True) -> None:
        """
        Add a part.

        Args:
            part: Its name, as /ready shows it.
            check: Called at each look, must not block; None is fine, a text is the reason it is not.
            vital: Whether the process is not ready without it; otherwise it is only degraded.
        """
        (self._checks if vital else self._degraded)[part] = check

    def problems(self) -> dict[str, str]:
        """Return the vital parts that are missing, and why."""
        return _ask(self._checks)

    def degraded(self) -> dict[str, str]:
        """Return the other parts that are missing, and why."""
        return _ask(self._degraded)

    def parts(self) -> Iterator[tuple[str, bool, bool]]:
        """Give the name of each part, whether it is vital, and whether it works."""
        for checks, vital in ((self._checks, True), (self._degraded, False)):
            problems = _ask(checks)
            yield from ((part, vital, part not in problems) for part in checks)


def _ask(checks: dict[str, Callable[[], str | None]]) -> dict[str, str]:
    answers = {part: check() for part, check in checks.items()}
    return {part: reason for part, reason in answers.items() if reason}


class Readiness(Collector):
    """What /ready says, in numbers: whoever waits for a broker or a database answers scrapes too."""

    def __init__(self, health: Health) -> None:
        self._health = health

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Ask every part, at each scrape."""
        ready = GaugeMetricFamily(
            "uproar_ready",
            "1 while a part of the process works; without a vital one it is not ready.",
            labels=["part", "vital"],
        )
        for part, vital, works in self._health.parts():
            ready.add_metric([part, "true" if vital else "false"], works)
        yield ready


def add_probes(app: FastAPI, health: Health, registry: CollectorRegistry) -> None:
    """Give an application /live, /ready and /metrics."""
    parts = CollectorRegistry()
    parts.register(Readiness(health))

    async def live() -> dict[str, bool]:
        return {"live": True}

    async def ready() -> JSONResponse:
        problems, degraded = health.problems(), health.degraded()
        body: dict[str, Any] = {"ready": not problems}
        body |= {"problems": problems} if problems else {}
        body |= {"degraded": degraded} if degraded else {}
        return JSONResponse(body, status_code=503 if problems else 200)

    async def metrics() -> Response:
        told = generate_latest(registry) + generate_latest(parts)
        return Response(told, media_type=CONTENT_TYPE_LATEST)

    for path, answer in (("/live", live), ("/ready", ready), ("/metrics", metrics)):
        app.add_api_route(path, answer, methods=["GET"], tags=["probes"], response_model=None)


# ------------------------------------------------------------------------------- HTTP and the end


class _Server(uvicorn.Server):
    """uvicorn without signal handlers: the process has its own."""

    def install_signal_handlers(self) -> None:
        pass


async def serve(app: FastAPI, *, host: str, port: int, stop: asyncio.Event) -> None:
    """
    Answer HTTP on the running loop until ``stop`` is set, then let open requests end (5 s).

    Raises:
        Misconfigured: The port is taken or the host is none of ours.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named TCP, or asyncio does not switch Nagle's algorithm off and every answer waits 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except (OSError, OverflowError) as error:
        listener.close()
        raise Misconfigured(f"cannot listen on {host}:{port}: {error}") from error
    server = _Server(
        uvicorn.Config(
            app, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=5
        )
    )
    serving = asyncio.create_task(server._serve([listener]))
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
        server.should_exit = True
        await serving
    finally:
        stopping.cancel()
        listener.close()


Main = Callable[[asyncio.Event], Coroutine[Any, Any, None] | Awaitable[None]]


def run(main: Main, *, grace: timedelta = timedelta(seconds=25)) -> int:
    """
    Run a process: ``main(stop)`` until it returns; SIGTERM and SIGINT set ``stop``.

    Args:
        main: Must return soon after ``stop`` is set.
        grace: How long it may take to stop before it is cut off.

    Returns:
        The exit code (:class:`Exit`); the reason is logged.
    """
    if not structlog.is_configured():  # until logs() is called: stdout belongs to no log
        structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    try:
        return asyncio.run(_run(main, grace))
    except KeyboardInterrupt:
        return Exit.OK
    finally:
        traces.end()


async def _run(main: Main, grace: timedelta) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for sign in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(sign, stop.set)
    work = asyncio.ensure_future(main(stop))
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({work, stopping}, return_when=asyncio.FIRST_COMPLETED)
        done, _ = await asyncio.wait({work}, timeout=grace.total_seconds())
        if not done:
            log.error("did not stop in time", grace_seconds=grace.total_seconds())
            work.cancel()
            await asyncio.wait({work}, timeout=1)
            return Exit.STUCK
        work.result()
    except (Misconfigured, Malformed) as error:
        log.error("wrong settings", reason=str(error))
        return Exit.MISCONFIGURED
    except Unavailable as error:
        log.error("cannot start", reason=str(error))
        return Exit.CANNOT_START
    except BaseExceptionGroup as group:
        return _grouped(group)
    except Exception:
        log.exception("crashed")
        return Exit.BUG
    finally:
        stopping.cancel()
    return Exit.OK


def _leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error


def _grouped(group: BaseExceptionGroup[BaseException]) -> int:
    """Name the exit code of what a task group raised: a bug outranks settings, these the world."""
    _, bugs = group.split((Misconfigured, Malformed, Unavailable))
    if bugs is not None:
        log.error("crashed", exc_info=group)
        return Exit.BUG
    wrong, _ = group.split((Misconfigured, Malformed))
    log.error("cannot go on", reasons=sorted({str(error) for error in _leaves(group)}))
    return Exit.CANNOT_START if wrong is None else Exit.MISCONFIGURED
