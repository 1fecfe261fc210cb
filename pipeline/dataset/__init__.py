"""A dataset on disk: its manifest, rows, shards, states, statistics and card."""
