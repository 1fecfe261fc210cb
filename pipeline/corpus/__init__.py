"""Reads corpora: transcripts and the audio they name to utterances, in any of the forms of `forms.py`.

Knows where text and audio are; opens no audio, applies no limits, counts nothing: that is the planner's.
"""

from pipeline.corpus.entry import Corpus
from pipeline.corpus.registry import CHOICES, open_corpus

__all__ = ["CHOICES", "Corpus", "open_corpus"]
