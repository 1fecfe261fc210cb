"""Recordings and transcripts in, LLASA training data (text with XCodec2 codes) out."""
