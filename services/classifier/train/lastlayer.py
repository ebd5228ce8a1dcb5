"""Last layer: ``heads.json`` of a fitted model, with the calibration in its weights."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from services.classifier.engine.heads import FORMATS
from services.classifier.engine.mention import MARKS
from services.classifier.train.calibrate import Calibration
from services.classifier.train.model import Classifier
from services.classifier.train.settings import Settings
from services.classifier.train.targets import BINARY, COLUMNS, LEVELS, SENTIMENT, SEVERITY


def write(model: Classifier, calibration: Calibration, settings: Settings, file: Path) -> None:
    """Write the file; heads that nothing taught are left out."""
    heads: dict[str, object] = {"format": FORMATS[-1], "name": settings.name}
    heads["groups"] = _groups(model, calibration, settings)
    if model.projection is not None:
        heads["embedding"] = _plain(model.projection.weight.detach().numpy())
    if settings.marked:
        heads["marks"] = MARKS
    file.write_text(json.dumps(heads) + "\n", "utf-8")


def _groups(
    model: Classifier, calibration: Calibration, settings: Settings
) -> list[dict[str, object]]:
    weight = model.heads.weight.detach().numpy() * calibration.scale[:, None]
    bias = model.heads.bias.detach().numpy() * calibration.scale + calibration.shift

    def group(names: Sequence[str], columns: Sequence[str], **more: object) -> dict[str, object]:
        at = [COLUMNS.index(column) for column in columns]
        return {"names": names, "weight": _plain(weight[at]), "bias": _plain(bias[at]), **more}

    groups = [group(SENTIMENT, SENTIMENT, shares=calibration.stream)]
    groups += [
        group([head], [head], threshold=calibration.thresholds[head])
        for head in BINARY
        if head in settings.taught
    ]
    if SEVERITY in settings.taught:
        levels = COLUMNS[-LEVELS:]
        groups.append(group([SEVERITY], levels, levels=list(range(LEVELS))))
    return groups


def _plain(values: NDArray[np.float64]) -> list[object]:
    plain: list[object] = np.round(values.astype(float), 6).tolist()
    return plain
