"""The forms of corpus that can be read, one module each."""
