"""The XCodec2 authors' own layout: their package, their weights, and the names of their modules."""
