import os
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

from services.ingest.seen import Seen
from tests.unit.services.ingest.fakes import NOW

ROOT = Path(__file__).parents[4]


def remember(seen: Seen, *ids: str, at=NOW) -> None:
    seen.remember((post, at) for post in ids)


def test_what_was_remembered_is_known_and_nothing_else(tmp_path):
    seen = Seen(tmp_path)
    remember(seen, "push:1", "push:2")
    assert "push:1" in seen
    assert "push:2" in seen
    assert "push:3" not in seen


def test_it_survives_a_restart(tmp_path):
    remember(Seen(tmp_path), "push:1")
    assert "push:1" in Seen(tmp_path)


def test_it_survives_sigkill(tmp_path):
    code = (
        "import os, sys, time; from datetime import datetime, UTC; from pathlib import Path;"
        "from services.ingest.seen import Seen; seen = Seen(Path(sys.argv[1]));"
        "seen.remember((f'push:{n}', datetime.now(UTC)) for n in range(1000));"
        "print('done', flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "done\n"
        os.kill(child.pid, signal.SIGKILL)
    seen = Seen(tmp_path)
    assert all(f"push:{n}" in seen for n in range(1000))


def test_a_torn_last_row_is_cut_off(tmp_path):
    seen = Seen(tmp_path)
    remember(seen, "push:1", "push:2")
    seen.close()
    path = tmp_path / "seen.young"
    path.write_bytes(path.read_bytes()[:-5])
    seen = Seen(tmp_path)
    assert "push:1" in seen
    assert "push:2" not in seen
    remember(seen, "push:3")
    assert {"push:1", "push:3"} <= {post for post in ("push:1", "push:3") if post in Seen(tmp_path)}


def test_the_oldest_are_forgotten_and_the_newest_generation_never_is(tmp_path):
    seen = Seen(tmp_path, generation=10)
    ids = [f"push:{n}" for n in range(95)]
    for post in ids:
        remember(seen, post)
    for known in (seen, Seen(tmp_path, generation=10)):
        assert all(post in known for post in ids[-10:])
        assert not any(post in known for post in ids[:70])
        assert len(known) <= 20


def test_what_was_written_since_a_moment_can_be_forgotten(tmp_path):
    seen = Seen(tmp_path, generation=3)
    for minute in range(5):
        remember(seen, f"push:{minute}", at=NOW + timedelta(minutes=minute))
    assert seen.forget_since(NOW + timedelta(minutes=3)) == 2
    for known in (seen, Seen(tmp_path, generation=3)):
        assert [n for n in range(5) if f"push:{n}" in known] == [0, 1, 2]


def test_forgetting_takes_in_the_second_it_begins_in(tmp_path):
    seen = Seen(tmp_path)
    remember(seen, "push:1", at=NOW + timedelta(milliseconds=900))
    seen.forget_since(NOW + timedelta(milliseconds=500))
    assert "push:1" not in seen
