"""Configurations of training runs, as short as they may be."""

from pathlib import Path


def a_file(
    folder: Path, *more: str, source: str = "train.jsonl", heads: str = '["sentiment"]',
    base: str = "base", data: str = "data", output: str = "out", work: str = "work",
) -> Path:  # fmt: skip
    """Write a configuration with one source, and these lines more."""
    lines = [
        'name = "t"', f'base = "{base}"', f'data = "{data}"', f'output = "{output}"',
        f'work = "{work}"', "seed = 1", *more, "validation = []",
        "[[source]]", f'file = "{source}"', f"heads = {heads}", 'licence = "ours"',
    ]  # fmt: skip
    file = folder / "run.toml"
    file.write_text("\n".join(lines) + "\n", "utf-8")
    return file
