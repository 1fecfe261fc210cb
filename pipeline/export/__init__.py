"""Writes a dataset in the formats that training programs read."""
