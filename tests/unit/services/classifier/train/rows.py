"""Labelled rows as the data files have them."""

import json
from pathlib import Path
from typing import Any


def a_row(text: str, **given: Any) -> dict[str, Any]:
    """Build a positive row that is no complaint."""
    labels = {"sentiment": "positive", "complaint": False, "offensive": True}
    return {"id": f"id of {text}", "text": text, "lang": "en", "labels": labels} | given


def write(file: Path, rows: list[dict[str, Any]]) -> None:
    """Write JSON lines."""
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
