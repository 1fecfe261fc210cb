"""Reads corpora: transcripts and the audio they name become utterances, in any format of `registry.py`.

Nothing is opened, limited or counted here: planning does that.
"""

from pipeline.corpus.corpus import Corpus
from pipeline.corpus.registry import CHOICES, open_corpus

__all__ = ["CHOICES", "Corpus", "open_corpus"]
