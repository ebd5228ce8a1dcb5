"""Budget: how rare chance must make a count before a level is reached. Not whether it may page."""

import math
from typing import Any, Final

import numpy as np

from uproar.detect.policy import SPAN, Policy

LOOKS: Final = 3.0
"""Independent looks in one length of a window that slides by minutes."""


def thresholds(alarms_per_day: float, policy: Policy) -> np.ndarray[Any, np.dtype[np.float64]]:
    """
    Return the statistic from which each level is reached in each window.

    The alarms that chance may raise are shared equally by the windows; a window has about
    ``LOOKS`` independent looks in its own length. So a short window, which looks more often, must
    show more.

    Args:
        alarms_per_day: How often chance may reach ``alert``.
        policy: How much more often ``watch``, and how much more rarely ``crisis``.

    Returns:
        -log10 of the probability of a single look, shape (levels, windows).
    """
    looks = LOOKS * 1440 / SPAN * len(SPAN)
    rates = np.array([policy.watch, 1.0, policy.crisis]) * alarms_per_day
    return np.maximum(np.log10(looks / rates[:, None]), -math.log10(0.05))
