"""House: `uproar up` as a user runs it, in a folder and on ports of its own, to be driven by a test."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import httpx
from prometheus_client.parser import text_string_to_metric_families

from services.alerter import access
from services.backtest.detecting import Outcome, detect
from services.backtest.recorded import Reader
from services.classifier import engine
from services.classifier.score import Scorer
from services.demo.story import WATCH, story
from services.process import read_document
from tests.broker import free_port
from tests.databases import ENGINE, new_url, sqlite_url
from uproar.backlash import Backlash
from uproar.subject import watch_list

PATIENCE = 120.0
"""Seconds until a wait is given up: the machine may be busy with other things."""
UPROAR = (sys.executable, "-P", "-m", "services.cli")
T = TypeVar("T")


class House:
    """One installation: its folder, its environment, and the process that runs it."""

    def __init__(self, folder: Path, *, patience: float = PATIENCE, **settings: str) -> None:
        self.folder, self.patience = folder, patience
        folder.mkdir(parents=True, exist_ok=True)
        self.ports = {name: free_port() for name in ("ingest", "classifier", "alerter")}
        self.env = {name: value for name, value in os.environ.items() if "UPROAR" not in name}
        self.env |= {f"UPROAR_{name.upper()}_PORT": str(port) for name, port in self.ports.items()}
        self.env |= {"UPROAR_DATA_DIR": str(folder / "data"), "OMP_NUM_THREADS": "1"} | settings
        self.database_url = sqlite_url(folder / "data" / "alerter")
        if ENGINE != "sqlite":
            self.database_url = self.env["UPROAR_DATABASE_URL"] = new_url(folder)
        self._output = folder / "up.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._key = ""

    # ------------------------------------------------------------------------------ its life

    def start(self, *, until: str = "uproar is up") -> None:
        """Run `uproar up` until it says that it is up, or whatever it is to say."""
        begun = self._output.stat().st_size if self._output.exists() else 0
        with self._output.open("ab") as output:
            self._process = subprocess.Popen(
                [*UPROAR, "up"], cwd=self.folder, env=self.env, stdout=output, stderr=output
            )
        self.wait(until, lambda: until.encode() in self._output.read_bytes()[begun:])
        self.wait("the alerter", lambda: httpx.get(self.url("alerter", "/live")).is_success)

    def stop(self) -> int:
        """Do what Ctrl-C does; returns the exit code."""
        assert self._process is not None
        self._process.send_signal(signal.SIGINT)
        return self._process.wait(PATIENCE)

    def kill(self) -> None:
        """SIGKILL, all at once: as when the machine loses power."""
        for pid in [*self._children().values(), self._process and self._process.pid]:
            if pid:
                os.kill(pid, signal.SIGKILL)
        if self._process:
            self._process.wait()

    def kill_if_alive(self) -> None:
        """Leave nothing running, whatever happened."""
        if self._process and self._process.poll() is None:
            self.kill()

    def kill_service(self, name: str) -> int:
        """SIGKILL one service, or the embedded broker; returns the process id it had."""
        pid = self._children()[name]
        os.kill(pid, signal.SIGKILL)
        return pid

    def kill_if_there(self, name: str) -> int | None:
        """Do the same, unless it is just being started again."""
        return self.kill_service(name) if self.process_of(name) else None

    def process_of(self, name: str) -> int | None:
        """Return the process id of a service, or of the embedded broker; None while there is none."""
        return self._children().get(name)

    def _children(self) -> dict[str, int]:
        assert self._process is not None
        pid, found = self._process.pid, {}
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            try:
                command = Path(f"/proc/{child}/cmdline").read_bytes()
            except OSError:
                continue  # it has just ended
            if match := re.search(rb"services\.(\w+)", command):
                found[match[1].decode()] = int(child)
            elif b"tansu" in command:
                found["broker"] = int(child)
        return found

    @property
    def output(self) -> str:
        """What `uproar up` has said."""
        return self._output.read_text("utf-8", "replace")

    def wait(self, what: str, look: Callable[[], T]) -> T:
        """Look until there is something; gives up where the house has fallen."""
        until = time.monotonic() + self.patience
        while time.monotonic() < until:
            if self._process is None or self._process.poll() is not None:
                break
            try:
                if found := look():
                    return found
            except httpx.TransportError:
                pass
            time.sleep(0.2)
        raise AssertionError(f"waited in vain for {what}\n{self.output[-3000:]}\n{self.standing()}")

    def standing(self) -> str:
        """What each service says of itself, for whoever must find out why nothing came."""
        told = []
        for service in self.ports:
            for path in ("/ready", "/metrics"):
                try:
                    answer = httpx.get(self.url(service, path), timeout=5).text
                except httpx.TransportError as error:
                    answer = repr(error)
                told += [line for line in answer.splitlines() if not line.startswith("#")]
        return "\n".join(line for line in told if "_bucket{" not in line and "python_" not in line)

    # ------------------------------------------------------------------------------ its doors

    def url(self, service: str, path: str) -> str:
        return f"http://127.0.0.1:{self.ports[service]}{path}"

    @property
    def token(self) -> str:
        return (self.folder / "data" / "ingest.token").read_text()

    def push(self, body: bytes | list[dict[str, Any]], **params: str) -> httpx.Response:
        """POST /v1/posts."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        address = self.url("ingest", "/v1/posts")
        return httpx.post(address, params=params, content=content, headers=headers, timeout=60)

    def replay(self, file: Path, *options: str) -> subprocess.CompletedProcess[str]:
        """`uproar replay`."""
        command = [*UPROAR, "replay", str(file), *options]
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=self.patience,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done

    def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Ask the alerter, as an admin."""
        if not self._key:
            self._key = access.create(self.database_url, "admin", "test")
        bearer = {"Authorization": f"Bearer {self._key}"}
        return httpx.request(
            method, self.url("alerter", path), headers=bearer, timeout=60, **options
        )

    def items(self, path: str) -> list[dict[str, Any]]:
        """Return the items of a list of the API."""
        answer = self.ask("GET", path)
        assert answer.status_code == 200, answer.text
        items: list[dict[str, Any]] = answer.json()["items"]
        return items

    def events(self) -> set[tuple[str, bool]]:
        """Return id and page of every backlash event that has become a line of a timeline."""
        return {
            (line["backlash"], line["page"])
            for incident in self.items("/v1/incidents?limit=200")
            for line in self.items(f"/v1/incidents/{incident['id']}/timeline")
            if line["backlash"]
        }

    def metric(self, service: str, name: str, **labels: str) -> float:
        """
        Return the sum of a metric over the labels that are not given; 0 where it has none yet.

        Raises:
            AssertionError: The service has no such metric.
        """
        text = httpx.get(self.url(service, "/metrics"), timeout=60).text
        families = list(text_string_to_metric_families(text))
        known = {family.name for family in families}
        known |= {f"{family.name}_total" for family in families if family.type == "counter"}
        known |= {sample.name for family in families for sample in family.samples}
        assert name in known, f"{service} has no metric {name}"
        samples = [s for family in families for s in family.samples if s.name == name]
        return sum(s.value for s in samples if s.labels.items() >= labels.items())

    def wait_until_judged(self, end: datetime) -> None:
        """Wait until detection has come to the end of a moment's minute, in every partition."""
        minute = end.replace(second=0, microsecond=0) + timedelta(minutes=1)
        name = "uproar_classifier_event_time_timestamp_seconds"
        self.wait(
            f"detection to come to {minute}",
            lambda: self.metric("classifier", name) >= minute.timestamp(),
        )


@contextmanager
def house(folder: Path, *, patience: float = PATIENCE, **settings: str) -> Iterator[House]:
    """Run a house; whatever happens, nothing of it is left running."""
    built = House(folder, patience=patience, **settings)
    try:
        built.start()
        yield built
    finally:
        built.kill_if_alive()


# ------------------------------------------------------------------------------------ the posts


def short_story(seed: int = 1) -> list[dict[str, Any]]:
    """Return the last two days of the demo's story, the storm included: enough for a baseline."""
    told = story(seed)
    since = told.onset - timedelta(hours=50)
    return [post for post in told.posts if _time(post) >= since]


def _time(post: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(post["created_at"])


def end_of(posts: Iterable[dict[str, Any]]) -> datetime:
    return max(_time(post) for post in posts)


def write(file: Path, posts: Iterable[dict[str, Any]]) -> Path:
    file.write_text("".join(json.dumps(post) + "\n" for post in posts), "utf-8")
    return file


def backtest(file: Path, watch: Path = WATCH) -> list[Backlash]:
    """Return what `uproar backtest` says of a file."""
    return outcome(file, watch).backlash


def outcome(file: Path, watch: Path = WATCH) -> Outcome:
    """Return all that the back-test finds in a file, its readings included."""
    subjects = watch_list(read_document(watch))
    scorer = Scorer(engine.load())
    reader = Reader(subjects=subjects, key=b"k" * 32, now=datetime.now(UTC))
    read = reader.posts(file, scorer)
    return detect(read.chunks(subjects), subjects)
