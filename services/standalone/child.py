"""Child: a process of ours, its log file, what it last complained of, and its end."""

import asyncio
import contextlib
import ctypes
import io
import json
import signal
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

MAX_LOG_BYTES = 10 * 1024**2
MAX_LINE_BYTES = 256 * 1024
REPEAT_SECONDS = 30.0
LOUD = frozenset({"warning", "error", "critical"})

Say = Callable[[str], None]


class Child:
    """
    One run of a service: ``python -m services.<name>``.

    Its log goes to a file as it comes (JSON lines); warnings and errors are also said, shortened.
    """

    def __init__(self, name: str, *, env: Mapping[str, str], logs: Path, say: Say) -> None:
        self.name = name
        self.complaint = ""
        self._env, self._log, self._say = env, logs / f"{name}.log", say
        self._logs = False
        self._said: dict[str, float] = {}
        self._process: Process | None = None
        self._forwarding: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """The process's id while it runs."""
        running = self._process is not None and self._process.returncode is None
        return self._process.pid if running and self._process else None

    async def start(self) -> None:
        """Start the process; it may not be ready for long."""
        self._log.parent.mkdir(parents=True, exist_ok=True)
        # -P: a folder called `services` where the user stands must not be taken for ours
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", f"services.{self.name}"),
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=STDOUT,
            env=dict(self._env),
            start_new_session=True,  # Ctrl-C in the terminal is for us: we stop them in order
            preexec_fn=die_with_parent,
        )
        self._forwarding = asyncio.create_task(self._forward(self._process))

    async def ended(self) -> int:
        """Wait for the end; returns the exit code, negative for a signal."""
        if self._process is None or self._forwarding is None:
            raise RuntimeError(f"{self.name} has not been started")
        code = await self._process.wait()
        with contextlib.suppress(TimeoutError):  # a grandchild may hold the pipe open
            await asyncio.wait_for(asyncio.shield(self._forwarding), 1)
        return code

    async def stop(self, grace_seconds: float) -> int | None:
        """Ask the process to end, and end it by force if it does not; returns its exit code."""
        if self._process is None:
            return None
        if not await end(self._process, grace_seconds):
            self._say(f"{self.name} did not stop within {grace_seconds:g} s and was killed")
        return await self.ended()

    async def _forward(self, process: Process) -> None:
        reader, rest = process.stdout, b""
        if reader is None:
            return
        log = _open(self._log)
        while chunk := await reader.read(65_536):
            try:
                log.write(chunk)
            except OSError as error:  # a full disk must not stop a service at its next line
                self._say(f"{self.name}: {self._log}: {error}")
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                self._hear(line)
            rest = rest[-MAX_LINE_BYTES:]
        log.close()
        self._hear(rest)

    def _hear(self, line: bytes) -> None:
        text = line.decode("utf-8", "replace").rstrip()
        if not text:
            return
        try:
            event = json.loads(text)
        except ValueError:
            event = None
        if not isinstance(event, dict):
            if not self._logs:  # a traceback from before the log was set up
                self.complaint = text[:500]
                self._say(f"{self.name}: {text[:500]}")
            return
        self._logs = True
        if event.get("level") in LOUD and "room" in event:  # not the chatter of the clients
            self.complaint = short(event)
            self._complain()

    def _complain(self) -> None:
        """Say it, unless the same was said a moment ago."""
        now = time.monotonic()
        if now - self._said.get(self.complaint, -REPEAT_SECONDS) >= REPEAT_SECONDS:
            self._said = {text: at for text, at in self._said.items() if now - at < REPEAT_SECONDS}
            self._said[self.complaint] = now
            self._say(f"{self.name}: {self.complaint}")


def _open(path: Path) -> io.FileIO:
    if path.exists() and path.stat().st_size > MAX_LOG_BYTES:
        path.replace(path.with_suffix(".log.1"))
    return io.FileIO(path, "ab")


def short(event: Mapping[str, Any]) -> str:
    """Put a log line into a few words; of a traceback only its last line."""
    hidden = {"event", "level", "timestamp", "service", "room", "exception"}
    words = [str(event.get("event")).strip().rpartition("\n")[2]]
    words += [f"{key}={value}" for key, value in event.items() if key not in hidden]
    words.append(str(event.get("exception") or "").strip().rpartition("\n")[2])
    return " ".join(word for word in words if word)[:500]


async def end(process: Process, grace_seconds: float) -> bool:
    """Send SIGTERM, after the grace SIGKILL; False where force was needed."""
    if process.returncode is not None:
        return True
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), grace_seconds)
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        return False
    return True


_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
_PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Have the kernel send SIGTERM when our parent dies, were it by SIGKILL: no orphan stays."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
