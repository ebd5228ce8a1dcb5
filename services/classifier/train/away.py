"""
Away: training on a machine that has a GPU, lent for minutes, with no network and little room.

``python -m services.classifier.train.away pack CONFIG...`` gathers what the runs need in
``build/parcel`` (base, labelled rows; 38 MB); on the other machine ``... away fit CONFIG...``
unpacks it, fits each run and lays what must come home into ``$OUT``; back here ``... away home FOLDER
CONFIG...`` puts it where ``uproar train --config CONFIG --resume`` goes on: calibration, export, card.
``docs/training.md`` has the whole of it.
"""

import argparse
import gzip
import os
import shutil
import sys
import tarfile
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from services.classifier.engine.tokens import normalise
from services.classifier.evaluate.run import reads
from services.classifier.train import data, parcel, vocabulary
from services.classifier.train.settings import Settings, read
from uproar.errors import Misconfigured

PARCEL = Path("build/parcel")
_LABELS = ("curves.json", "curves.png", "trained.json")


def pack(configs: Sequence[Path], into: Path = PARCEL) -> int:
    """
    Gather what some runs need.

    Returns:
        Bytes of the parcel.

    Raises:
        Misconfigured: The runs start from different bases.
    """
    runs = [read(config) for config in configs]
    if len({(run.base, run.data) for run in runs}) != 1:
        raise Misconfigured("runs that travel together start from one base and one data folder")
    shutil.rmtree(into, ignore_errors=True)
    kept: set[int] = set()
    base = runs[0].base
    for run in runs:
        texts = (normalise(row.text) for part in data.training(run) for row in part.train)
        kept |= set(vocabulary.choose(base / "tokenizer.json", texts, run.vocabulary))
    parcel.pack(base, sorted(kept), into / "base.npz")
    shutil.copy(base / "config.json", into)
    (into / "tokenizer.json.gz").write_bytes(
        gzip.compress((base / "tokenizer.json").read_bytes(), mtime=0)
    )
    with tarfile.open(into / "data.tar.xz", "w:xz") as rows:
        for file in sorted({file for run in runs for file in _files(run)}):
            name = file.removeprefix("labelled/")
            inside = name != file
            rows.add(runs[0].data / name if inside else runs[0].data.parent / file, file)
    return sum(file.stat().st_size for file in into.rglob("*") if file.is_file())


def fit(configs: Sequence[Path], out: Path, work: Path, parcelled: Path = PARCEL) -> None:
    """
    Fit runs from a parcel, one after the other, and lay out what must come home.

    A run that another learns from comes before it; its soft labels go to where the next one looks.
    """
    from services.classifier.train.recipe import follow  # noqa: PLC0415 - torch takes seconds

    base = work / "base"
    if not (base / "model.safetensors").is_file():
        parcel.unpack(parcelled / "base.npz", base)
        shutil.copy(parcelled / "config.json", base)
        packed = (parcelled / "tokenizer.json.gz").read_bytes()
        (base / "tokenizer.json").write_bytes(gzip.decompress(packed))
        with tarfile.open(parcelled / "data.tar.xz") as rows:
            rows.extractall(work / "data", filter="data")
    for config in configs:
        begin = time.monotonic()
        run = read(config)
        here = work / run.name
        follow(
            msgspec.structs.replace(run, base=base, data=work / "data" / "labelled", work=here),
            resume=True,
            fit_only=True,
        )
        _lay_out(run, here, out)
        sys.stdout.write(f"{run.name}: {time.monotonic() - begin:.0f} s\n")
        sys.stdout.flush()


def home(folder: Path, configs: Sequence[Path]) -> None:
    """Put what came home where the runs look for it."""
    for config in configs:
        run = read(config)
        run.work.mkdir(parents=True, exist_ok=True)
        for shard in sorted(folder.glob(f"{run.name}.trained-*.safetensors")):
            shutil.copy(shard, run.work / shard.name.removeprefix(f"{run.name}."))
        with tarfile.open(folder / f"{run.name}.tar") as small:
            for member in small.getmembers():
                target = dict(_told(run)).get(member.name, run.work / member.name)
                content = small.extractfile(member)
                if content is not None and target is not None:
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.write_bytes(content.read())


def _files(run: Settings) -> list[str]:
    named = [source.file for source in (*run.source, *run.validation)] + run.vector_files
    named = [f"labelled/{file}" for file in named if not file.startswith("./")]
    return named + (reads(run.asked) if run.answers else [])


def _told(run: Settings) -> list[tuple[str, Path | None]]:
    """Name what a run tells others, and where it lies."""
    return [("soft.npz", run.soft), ("vectors.npz", run.vectors), ("answers.npz", run.answers)]


def _lay_out(run: Settings, work: Path, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    if run.shards:
        for shard in sorted(work.glob("trained-*.safetensors")):
            shutil.copy(shard, out / f"{run.name}.{shard.name}")
    with tarfile.open(out / f"{run.name}.tar", "w") as small:
        for name in _LABELS:
            if (work / name).is_file():
                small.add(work / name, name)
        for name, file in _told(run):
            if file is not None and file.is_file():
                small.add(file, name)


def main() -> None:
    """Run one of the three."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["pack", "fit", "home"])
    parser.add_argument("paths", nargs="+", type=Path)
    parser.add_argument("--work", type=Path, default=Path("build/away"))
    given = parser.parse_args()
    if given.what == "pack":
        sys.stdout.write(f"{PARCEL}: {pack(given.paths) / 1e6:.1f} MB\n")
    elif given.what == "fit":
        fit(given.paths, Path(os.environ.get("OUT", "build/out")), given.work)
    else:
        home(given.paths[0], given.paths[1:])


if __name__ == "__main__":
    main()
