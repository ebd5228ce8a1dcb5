"""Detector: the whole detection step of one partition, composed of detect, story and outlook."""

from uproar.detect.policy import Policy
from uproar.detector.columns import Columns, columns_of
from uproar.detector.partition import CLOSED_TO, Closed, Detector, is_apart

__all__ = ["CLOSED_TO", "Closed", "Columns", "Detector", "Policy", "columns_of", "is_apart"]
