"""Evaluate: the yardstick of detection. Simulated years, recombined crises, dated replays, rivals."""
