"""Measures every row of a dataset: columns of figures in files beside the shards."""
