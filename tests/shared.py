"""Where the research data, models and references lie beside the checkout, if they do."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
"""The root of the repository."""


def _shared() -> Path | None:
    folder = ROOT.parent / "shared"
    return folder if folder.is_dir() else None


SHARED: Path | None = _shared()
"""``../shared``, seen from the root; None where it is absent: skip, and say why."""
