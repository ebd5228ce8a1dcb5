"""Thresholds from a budget of alarms."""

import numpy as np

from uproar.detect.budget import thresholds
from uproar.detect.policy import SPAN, Policy
from uproar.subject import alarms_per_day


def test_watch_comes_before_alert_and_alert_before_crisis():
    levels = thresholds(alarms_per_day("1/month"), Policy())
    assert levels.shape == (3, len(SPAN))
    assert (np.diff(levels, axis=0) > 0).all()


def test_the_levels_stand_as_far_apart_as_their_rates():
    watch, alert, crisis = thresholds(alarms_per_day("1/month"), Policy())
    assert np.allclose(alert - watch, np.log10(4))
    assert np.allclose(crisis - alert, np.log10(12))


def test_a_smaller_budget_asks_for_more():
    month, year = (thresholds(alarms_per_day(b), Policy()) for b in ("1/month", "1/year"))
    assert np.allclose(year - month, np.log10(12))


def test_a_window_that_looks_more_often_must_show_more():
    alert = thresholds(alarms_per_day("1/month"), Policy())[1]
    assert (np.diff(alert) < 0).all()


def test_no_budget_makes_a_common_count_an_alarm():
    assert (thresholds(alarms_per_day("10000/week"), Policy()) > 1.3).all()
