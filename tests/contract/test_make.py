"""The Makefile has every target that was promised, and `make images` builds what deploy/ runs."""

import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")
PROMISED = (
    "demo", "up", "test", "check", "integration", "e2e", "bench", "chaos", "images", "deploy-check",
)  # fmt: skip
"""The table "Make" of the interfaces that stay stable."""


@pytest.mark.parametrize("target", PROMISED)
def test_every_promised_target_is_there_and_make_alone_prints_it(target: str) -> None:
    assert target in re.findall(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)[0].split()
    done = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert re.search(rf"^{target}\s+\S", done.stdout, re.MULTILINE)


def images(path: Path) -> subprocess.CompletedProcess[str]:
    """Run what `make images` runs, with nothing to build but what lies in a folder."""
    env = {"PATH": f"{path}:{path / 'system'}", "HOME": str(path)}
    (path / "system").mkdir()
    for program in ("bash", "sed", "dirname", "env"):
        found = next(p for p in os.environ["PATH"].split(":") if (Path(p) / program).exists())
        (path / "system" / program).symlink_to(Path(found) / program)
    return subprocess.run(
        [str(ROOT / "deploy" / "images")], env=env, capture_output=True, text=True
    )


@pytest.mark.parametrize("tool", ["docker", "podman", "buildah"])
def test_images_are_built_with_whatever_builds_under_the_names_that_compose_runs(
    tmp_path: Path, tool: str
) -> None:
    (tmp_path / tool).write_text(
        f'#!/usr/bin/env bash\n[ "$1" = build ] && echo {tool} "$@"\nexit 0\n'
    )
    (tmp_path / tool).chmod(0o755)
    done = images(tmp_path)
    assert done.returncode == 0, done.stderr
    compose = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text("utf-8"))
    wanted = {
        (each["build"]["target"], each["image"])
        for each in compose["services"].values()
        if "build" in each
    }
    built = re.findall(rf"^{tool} build .*--target (\w+) .*-t (\S+) ", done.stdout, re.MULTILINE)
    assert set(built) == wanted
    assert len(built) == len(wanted)


def test_without_anything_that_builds_it_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "docker").write_text("#!/usr/bin/env bash\nexit 1\n")  # no daemon behind it
    (tmp_path / "docker").chmod(0o755)
    done = images(tmp_path)
    assert done.returncode == 1
    assert "install buildah" in done.stderr
