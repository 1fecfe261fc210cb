"""Reads every row of a dataset and counts what is wrong or unusual."""
