"""What `--annotate` adds to making a dataset: annotators are checked before it, and complete after it."""

from __future__ import annotations

from pipeline.config import Settings
from pipeline.dataset.reader import Dataset
from pipeline.progress import Progress


def check_annotators(settings: Settings) -> None:
    """Raise UsageError if the settings name an annotator that is not there."""
    if not settings.run.annotate:
        return
    from pipeline.annotate.beside import names_of
    from pipeline.annotate.registry import open_annotators

    open_annotators(names_of(settings.run.annotate), {"transcript": {"asr": settings.validation.asr}})


def measure(dataset: Dataset, settings: Settings) -> None:
    """Measure what was not measured while the dataset was made: all that compares rows, for example."""
    if not settings.run.annotate:
        return
    from pipeline.annotate.api import annotate
    from pipeline.annotate.beside import names_of

    with Progress("annotating", dataset.stats()["rows"], "row") as progress:
        names, hears, device = names_of(settings.run.annotate), settings.validation.asr, settings.codec.device
        annotate(dataset, names, asr=hears, device=device, progress=progress.counted)
