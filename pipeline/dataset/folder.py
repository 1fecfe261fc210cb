"""The output folder: which settings made it, and which of its shards are done."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import yaml

from pipeline.config import Settings, changes_results, flatten
from pipeline.dataset.manifest import Manifest, ShardPlan
from pipeline.dataset.reader import Dataset
from pipeline.dataset.single_file import dataset_folder
from pipeline.errors import UsageError
from pipeline.storage.files import remove, write_text
from pipeline.storage.paths import is_remote, sizes, store_errors
from pipeline.utterance import Reason

CONFIG = "config.yaml"  # the settings; a folder that holds it is a dataset
PLANNED = {  # reasons that planning finds again by itself, so that trying the clip again is of no use
    Reason.MISSING_AUDIO,
    Reason.OUTSIDE_CORPUS,
    Reason.MALFORMED_TRANSCRIPT,
    Reason.DUPLICATE_ID,
    Reason.EMPTY_TEXT,
    Reason.TEXT_TOO_SHORT,
    Reason.TEXT_TOO_LONG,
    Reason.EXCLUDED,
}


def check_output(output: Path, settings: Settings) -> Dataset | None:
    """Check, without writing anything, that a dataset of these settings can be made or gone on with.

    `output` is a folder or a `NAME.jsonl`. Returns the dataset that is there already. Raises UsageError if
    `output` holds something else.
    """
    root = dataset_folder(output)
    with store_errors(output):
        if root != output and (output.is_dir() or (output.exists() and not root.exists())):
            raise UsageError(f"{output} is there and was not made by `create`: give another name")
        known = (root / CONFIG).exists()
    strangers = [] if known else strangers_in(root)
    if known or CONFIG in strangers:  # which another part of the run may have written just now
        return _opened(root, settings)
    if strangers:
        raise UsageError(
            f"{root} is not empty and not a dataset ({strangers[0]} is in it): give another folder"
        )
    return None


def open_or_init(root: Path, settings: Settings) -> Dataset:
    """Open the dataset in `root` for a run that holds it; the first one writes its `config.yaml`.

    Raises as `check_output` does.
    """
    dataset = check_output(root, settings)
    if dataset is None:
        kept = settings.model_dump(exclude={"run"})  # where shards were made says nothing of the dataset
        content = {"fingerprint": settings.fingerprint(), "settings": kept}
        write_text(root / CONFIG, yaml.safe_dump(content, sort_keys=False, allow_unicode=True))
        dataset = Dataset(root)
    dataset.held = True
    return dataset


def _opened(root: Path, settings: Settings) -> Dataset:
    dataset = Dataset(root)
    if dataset.fingerprint != settings.fingerprint():
        raise UsageError(f"{root} was made with other settings: {_differences(dataset.settings, settings)}")
    return dataset


def strangers_in(root: Path) -> list[str]:
    """List what lies in a folder that should be new; hidden files, our locks among them, do not count."""
    try:
        return [entry.name for entry in root.iterdir() if entry.name and not entry.name.startswith(".")]
    except FileNotFoundError:  # a store has no empty folders
        return []
    except NotADirectoryError as error:
        if is_remote(root):  # which is what a store's path says that names nothing
            return []
        raise UsageError(f"{root} is a file: give a folder, or a name.jsonl for one file") from error


def _differences(made_with: dict[str, Any], settings: Settings) -> str:
    differences = []
    for key, value in flatten(settings).items():
        section, _, name = key.partition(".")
        before = made_with.get(section, {}).get(name)
        if changes_results(key) and before != value:
            differences.append(f"{key} was {before!r} and is now {value!r}")
    return f"{'; '.join(differences)}. Give those settings, or another output folder"


def unfinished(dataset: Dataset, manifest: Manifest, *, retry_rejected: bool = False) -> list[ShardPlan]:
    """Return the planned shards that `unfinished_among` tells."""
    return list(filter(unfinished_among(dataset, retry_rejected=retry_rejected), manifest.shards))


def unfinished_among(dataset: Dataset, *, retry_rejected: bool = False) -> Callable[[ShardPlan], bool]:
    """Return what tells a shard that is not done, or was made from other manifest rows, as things are now.

    With `retry_rejected`, also one with rejections that another try may turn into rows.
    """
    done = {
        state.shard: state.inputs
        for state in dataset.states()
        if not (retry_rejected and any(reason not in PLANNED for reason in state.reasons))
    }
    return lambda plan: done.get(plan.shard) != plan.digest


def mend(dataset: Dataset, say: Callable[[str], object]) -> None:
    """Remove the states of shards whose files are missing or damaged, so that they are made again.

    Only the run that holds the folder may.
    """
    faults = list(dataset.faults())
    for fault, state in faults:
        say(f"{fault}: its shard is made again")
        remove(state)
    if faults:
        dataset.reread_all()


def remove_strays(dataset: Dataset, manifest: Manifest) -> None:
    """Remove the files of shards that a whole manifest does not plan: it was deleted and planned anew since.

    Only the run that holds the folder may.
    """
    planned = {dataset.files(plan.shard).name for plan in manifest.shards}
    strays = [
        dataset.root / folder / name
        for folder in ("state", "data", "rejected")
        for name in sizes(dataset.root / folder)
        if re.fullmatch(rf"{dataset.split}-\d{{5,}}\.\w+", name) and name.partition(".")[0] not in planned
    ]
    for stray in strays:
        remove(stray)
    if strays:
        dataset.reread_all()


def clean(
    root: Path, folders: Iterable[str] = ("data", "rejected", "state", "manifest", "report", ".")
) -> None:
    """Remove temporary files that a killed run left. Only the run that holds the folder may."""
    if is_remote(root):  # they were made elsewhere
        return
    for folder in folders:
        with contextlib.suppress(FileNotFoundError):
            for path in (root / folder).glob(".*.tmp"):
                path.unlink()
