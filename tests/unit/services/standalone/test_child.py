import asyncio
import json
import os
import sys
from pathlib import Path

import pytest

from services.process import Exit
from services.standalone.child import Child, end, short


def a_child(folder: Path, said: list[str], **env: str) -> Child:
    kept = {name: value for name, value in os.environ.items() if "UPROAR" not in name}
    kept |= {"UPROAR_DATA_DIR": str(folder), "UPROAR_LOG_FORMAT": "json"}
    return Child("alerter", env=kept | env, logs=folder / "logs", say=said.append)


async def test_what_a_service_complains_of_is_said_and_its_log_kept(tmp_path: Path) -> None:
    said: list[str] = []
    child = a_child(tmp_path, said, UPROAR_CONFIG=str(tmp_path / "nowhere.toml"))
    await child.start()
    assert await child.ended() == Exit.MISCONFIGURED
    assert "nowhere.toml" in child.complaint
    assert any("alerter: wrong settings" in line for line in said)
    (line,) = (tmp_path / "logs" / "alerter.log").read_text().splitlines()
    assert json.loads(line)["level"] == "error"


async def test_a_traceback_from_before_the_log_is_said_as_it_is(tmp_path: Path) -> None:
    said: list[str] = []
    child = a_child(tmp_path, said)
    child.name = "nothing"
    await child.start()
    assert await child.ended() == 1
    assert "No module named services.nothing" in said[-1]


async def test_a_service_that_was_not_started_has_nothing_to_stop(tmp_path: Path) -> None:
    assert await a_child(tmp_path, []).stop(1) is None


async def test_who_does_not_go_when_asked_is_made_to() -> None:
    deaf = "import signal, time; signal.signal(15, signal.SIG_IGN); print(1, flush=True); time.sleep(60)"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", deaf, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    await process.stdout.readline()
    assert await end(process, 0.1) is False
    assert process.returncode == -9


async def test_who_goes_when_asked_is_not_forced() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", "import time; time.sleep(60)"
    )
    assert await end(process, 60) is True
    assert await end(process, 60) is True


@pytest.mark.parametrize(
    ("event", "words"),
    [
        ({"event": "cannot start", "level": "error", "room": "process", "reason": "x"},
         "cannot start reason=x"),
        ({"event": "crashed", "exception": "Traceback\n  File y\nKeyError: 'z'\n"},
         "crashed KeyError: 'z'"),
        ({"event": "Traceback (most recent call last):\n  File\nValueError: 1\n"}, "ValueError: 1"),
    ],
)  # fmt: skip
def test_a_log_line_is_put_into_a_few_words(event: dict[str, str], words: str) -> None:
    assert short(event) == words


def test_the_same_complaint_is_said_once_and_another_at_once(tmp_path: Path) -> None:
    said: list[str] = []
    child = a_child(tmp_path, said)
    for reason in ("a", "a", "b", "a"):
        line = {"event": "waits", "level": "warning", "room": "pump", "reason": reason}
        child._hear(json.dumps(line).encode())
    assert said == ["alerter: waits reason=a", "alerter: waits reason=b"]


def test_the_chatter_of_the_clients_stays_in_the_log(tmp_path: Path) -> None:
    said: list[str] = []
    child = a_child(tmp_path, said)
    child._hear(b'{"event": "no node", "level": "error"}')
    child._hear(b'{"event": "fine", "level": "info", "room": "app"}')
    child._hear(b"a raw traceback of a library")
    assert said == []
