"""Offline verbs: the production detector and model over recorded posts. No broker, no clock."""
