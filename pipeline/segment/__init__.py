"""Turns recordings without transcripts into a manifest of segments: found, cut, transcribed and checked."""
