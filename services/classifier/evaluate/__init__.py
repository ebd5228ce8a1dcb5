"""Evaluate: how good a model is, by the published rules and by our own. Needs the research data."""
