"""Train: labelled files -> a calibrated int8 model with its card. Needs ``uproar[torch]``."""

from pathlib import Path


def run(config: Path, resume: bool = False) -> None:  # noqa: FBT001, FBT002 - as the verb's option
    """
    Train, calibrate, export and write the model card (``uproar train``).

    Args:
        config: A TOML file, see :class:`services.classifier.train.settings.Settings`.
        resume: Go on from the last checkpoint of the same configuration.

    Raises:
        Misconfigured: The configuration or a file it names is wrong, or torch is not installed.
    """
    from services.classifier.train.recipe import follow  # noqa: PLC0415 - torch takes seconds
    from services.classifier.train.settings import read  # noqa: PLC0415

    follow(read(config), resume=resume)
