"""The demo is the product: its last line is the promise."""

import os
import re
import subprocess
import sys


def test_the_demo_pages_for_the_backlash_and_not_for_the_giveaway() -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-m", "services.cli", "demo"],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    last = done.stdout.rstrip().splitlines()[-1]
    assert re.fullmatch(
        r"demo: backlash paged \d+ min after onset \(post to page \d+\.\d s\), giveaway not paged",
        last,
    )
    assert "Traceback" not in done.stderr
