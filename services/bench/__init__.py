"""Bench: how fast the product is on this machine. Every ratio comes from one run, taken in turn."""
