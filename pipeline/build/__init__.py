"""Builds a dataset: plans the corpus, encodes it shard by shard, and closes it with statistics and a card."""
