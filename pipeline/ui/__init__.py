"""The web page: speak, hear the codec, browse a dataset."""
