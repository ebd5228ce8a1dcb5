import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from services.broker import KafkaSettings, ensure_topics
from services.standalone import embedded
from services.standalone.embedded import Tansu, find_binary
from tests.broker import listens
from uproar.errors import Misconfigured, Unavailable


async def test_each_start_is_a_life_of_its_own_with_nothing_in_it(tmp_path: Path) -> None:
    broker = Tansu(tmp_path / "broker.log")
    await broker.start()
    first = broker.epoch
    assert broker.servers.startswith("127.0.0.1:")
    settings = KafkaSettings.load().model_copy(update={"bootstrap_servers": broker.servers})
    await asyncio.to_thread(ensure_topics, settings)
    await broker.stop()
    assert not listens(int(broker.servers.partition(":")[2]))

    await broker.start()
    assert broker.epoch != first
    await broker.stop()
    await broker.stop()


async def test_its_end_is_told_with_its_last_words(tmp_path: Path) -> None:
    broker = Tansu(tmp_path / "broker.log")
    await broker.start()
    assert broker._process is not None
    broker._process.kill()
    how = await broker.ended()
    assert "exit code -9" in how
    assert "ready in" in how


async def test_a_port_that_somebody_else_took_is_left_to_him(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = Tansu(tmp_path / "1.log"), Tansu(tmp_path / "2.log")
    await first.start()
    taken = int(first.servers.partition(":")[2])
    free, ports = embedded._free_port(), iter([taken])
    monkeypatch.setattr(embedded, "_free_port", lambda: next(ports, free))
    await second.start()
    assert second.servers == f"127.0.0.1:{free}"
    await first.stop()
    await second.stop()


async def test_one_that_does_not_come_up_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CALF_TANSU_BIN", sys.executable)
    with pytest.raises(Unavailable, match="does not start"):
        await Tansu(tmp_path / "broker.log").start()


def test_a_binary_that_is_not_there_is_told_with_the_way_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CALF_TANSU_BIN", str(tmp_path / "nowhere"))
    with pytest.raises(Misconfigured, match="UPROAR_KAFKA_BOOTSTRAP_SERVERS"):
        find_binary()


@pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux tells a child of its parent's death"
)
def test_it_dies_with_its_parent_were_that_by_sigkill(tmp_path: Path) -> None:
    script = (
        "import asyncio, pathlib, sys\n"
        "from services.standalone.embedded import Tansu\n"
        "async def main():\n"
        "    broker = Tansu(pathlib.Path(sys.argv[1]))\n"
        "    await broker.start()\n"
        "    print(broker.servers, flush=True)\n"
        "    await asyncio.sleep(600)\n"
        "asyncio.run(main())\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / "broker.log")],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    port = int(parent.stdout.readline().strip().partition(":")[2])
    assert listens(port)
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    until = time.monotonic() + 60
    while listens(port) and time.monotonic() < until:
        time.sleep(0.05)
    assert not listens(port)
