"""The web page: speak, hear the codec, browse a dataset. Composes the companion, the codec and the shards."""
