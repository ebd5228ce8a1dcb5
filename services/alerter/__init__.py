"""The alerter: from a backlash event to people who know of it. It neither scores nor detects."""
