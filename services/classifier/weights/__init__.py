"""Weights: the shipped models, a folder each, with its card and tokenizer. No code."""
