"""Loads what strangers trained: models, tokenizers and checkpoints, without running code of theirs."""
