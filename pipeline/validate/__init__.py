"""Judges a dataset: integrity, statistics, round trip, verdict and report."""
