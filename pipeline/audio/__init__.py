"""Recordings: where their bytes come from, what their headers say, and how they become mono waveforms."""
