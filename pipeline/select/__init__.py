"""Chooses rows of a dataset by a condition and a budget."""
