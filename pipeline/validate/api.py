"""Judges a dataset with one call: what `python -m pipeline validate` and the library's users share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.config import Settings, load
from pipeline.errors import UsageError
from pipeline.storage.paths import is_remote

if TYPE_CHECKING:
    from pipeline.dataset.reader import Dataset
    from pipeline.validate.session import Outcome


def validate(
    dataset: str | Path | Dataset,
    *,
    config: str | Path | None = None,
    settings: Mapping[str, Any] | None = None,
    audio: str | Path | None = None,
    text: str | Path | None = None,
    model: str | None = None,
    held_out: str | Path | None = None,
    tokenizer: str | None = None,
    report: str | Path | None = None,
    say: Callable[[str], object] = lambda line: None,
) -> Outcome:
    """Judge whether a LLASA trained on a dataset would speak well; writes figures and a page to listen to.

    `dataset` is a folder, its `NAME.jsonl`, or USER/NAME on the Hub. Thresholds are those it was made with,
    or those of the file `config`; `settings` puts dotted keys over them, such as
    `{"validation.sample": 200}`. `audio` and `text` say where the corpus is now, if it was moved. `model`, a
    LLASA folder or id, says some texts of the dataset, or those whose ids the file `held_out` lists.
    `tokenizer` counts training lengths exactly. `report` is the folder for the results (default: `report/`
    in the dataset, whose card then shows the verdict); with another one the dataset may be read-only. `say`
    receives a line of progress now and then.

    Raises UsageError for whatever is wrong with the arguments.

    >>> from pipeline import validate_dataset
    >>> outcome = validate_dataset("out/sample", settings={"validation.sample": 2, "validation.exact": 2})
    >>> outcome.verdict
    'pass'
    """
    from pipeline.dataset.summary import write_summary
    from pipeline.validate.inputs import open_dataset, open_inputs
    from pipeline.validate.report.writing import write_report
    from pipeline.validate.session import Session

    found = open_dataset(str(dataset)) if isinstance(dataset, str | Path) else dataset
    resolved = _resolve(found, config, settings or {}, audio, text)
    folder = _report_folder(found, report)
    inputs = open_inputs(found, resolved, model=model, held_out=held_out, tokenizer=tokenizer)
    outcome = Session(found, resolved.validation, inputs, folder, say).run()
    write_report(found, outcome, inputs)
    if report is None:
        write_summary(found)
    return outcome


def _resolve(
    dataset: Dataset,
    config: str | Path | None,
    values: Mapping[str, Any],
    audio: str | Path | None,
    text: str | Path | None,
) -> Settings:
    """Merge the dataset's own settings, the thresholds of `config` and the values over them."""
    corpus = dataset.corpus(audio, text).model_dump()
    settings = Settings.model_validate({**dataset.settings, "corpus": corpus})
    if config is not None:
        settings = settings.model_copy(update={"validation": load(config).validation})
    return settings.with_values(values)


def _report_folder(dataset: Dataset, given: str | Path | None) -> Path:
    """Return the folder for the results, made if it is missing. Raises UsageError if it cannot be."""
    folder = dataset.root / "report" if given is None else Path(given)
    if is_remote(folder):
        raise UsageError(f"{folder} is in a store: give a folder here for the results, with --report")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"cannot write the results to {folder} ({error.strerror}): give another folder, with --report"
        ) from error
    return folder
