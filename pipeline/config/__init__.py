"""Settings: their keys, the files that hold them, and how the command line goes over them."""

from pipeline.config.resolving import SAMPLE, load, resolve
from pipeline.config.settings import (
    SAMPLE_CODEC,
    CodecSettings,
    CorpusSettings,
    LimitSettings,
    LoadSettings,
    OutputSettings,
    RunSettings,
    Settings,
    ValidationSettings,
    all_keys,
    changes_results,
    flatten,
)
from pipeline.config.yaml_file import read_yaml

__all__ = [
    "SAMPLE",
    "SAMPLE_CODEC",
    "CodecSettings",
    "CorpusSettings",
    "LimitSettings",
    "LoadSettings",
    "OutputSettings",
    "RunSettings",
    "Settings",
    "ValidationSettings",
    "all_keys",
    "changes_results",
    "flatten",
    "load",
    "read_yaml",
    "resolve",
]
