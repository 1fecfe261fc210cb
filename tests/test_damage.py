"""Finished datasets with files deleted, cut short or changed: each is named, and mended where that can be."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from engine_helpers import CLIPS, build_corpus, content, settings_for

from pipeline.__main__ import main
from pipeline.build.dataset import create_dataset
from pipeline.config import Settings
from pipeline.dataset.reader import Dataset
from pipeline.errors import TooManyRejected, UsageError
from pipeline.storage.paths import resolve_path

Change = Callable[[Path], object]
FORMATS = ("jsonl", "arrow", "parquet")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    from conftest import make_clip

    folder = tmp_path_factory.mktemp("corpus")
    return build_corpus(folder, make_clip.__wrapped__(folder))


@pytest.fixture(scope="module")
def settings(corpus) -> Settings:
    return settings_for(corpus)


@pytest.fixture(scope="module", params=FORMATS)
def whole(request, corpus, tmp_path_factory) -> tuple[Path, Settings]:
    """A finished dataset that no test changes, and its settings."""
    settings = settings_for(corpus, **{"output.format": request.param})
    folder = tmp_path_factory.mktemp(request.param) / "out"
    create_dataset(output=folder, config=settings)
    return folder, settings


@pytest.fixture
def out(whole, tmp_path) -> Path:
    return Path(shutil.copytree(whole[0], tmp_path / "out"))


def said_by_a_run(output: Path, settings: Settings) -> list[str]:
    said: list[str] = []
    create_dataset(output=output, config=settings, say=said.append)
    return said


def first_data(root: Path) -> Path:
    return min((root / "data").glob("train-*"))


def halved(path: Path) -> None:
    raw = path.read_bytes()
    path.write_bytes(raw[: len(raw) // 2])


def zeroed(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def emptied(path: Path) -> None:
    path.write_bytes(b"")


SHARD = {
    "data deleted": lambda root: first_data(root).unlink(),
    "all data deleted": lambda root: shutil.rmtree(root / "data"),
    "data cut short": lambda root: halved(first_data(root)),
    "rejections deleted": lambda root: (root / "rejected/train-00001.jsonl").unlink(),
    "state cut short": lambda root: halved(root / "state/train-00002.json"),
    "state zeroed": lambda root: zeroed(root / "state/train-00002.json"),
    "state emptied": lambda root: emptied(root / "state/train-00002.json"),
    "state of another shard": lambda root: shutil.copy(
        root / "state/train-00001.json", root / "state/train-00002.json"
    ),
}
SUMMARY = {
    "card deleted": lambda root: (root / "README.md").unlink(),
    "card cut short": lambda root: halved(root / "README.md"),
    "statistics deleted": lambda root: (root / "stats.json").unlink(),
    "statistics zeroed": lambda root: zeroed(root / "stats.json"),
    "statistics of other numbers": lambda root: (root / "stats.json").write_text(
        (root / "stats.json").read_text().replace(f'"rows": {CLIPS}', '"rows": 99')
    ),
}


@pytest.mark.parametrize("damage", [*SHARD, *SUMMARY])
def test_a_run_mends_what_is_missing_or_cut_short_and_verification_names_it(whole, out, damage, capsys):
    (SHARD | SUMMARY)[damage](out)
    assert main(["status", str(out), "--verify"]) == 1
    assert "not as it was written" in capsys.readouterr().err
    said = said_by_a_run(out, whole[1])
    assert "finished before: nothing to do" not in said
    assert content(out) == content(whole[0])
    assert main(["status", str(out), "--verify"]) == 0
    assert "finished before: nothing to do" in said_by_a_run(out, whole[1])


@pytest.mark.parametrize("damage", SHARD)
def test_a_check_before_export_or_push_names_the_file(out, damage):
    Dataset(out).check_files()
    SHARD[damage](out)
    with pytest.raises(UsageError, match=r"(train-0000\d\.\w+ is|shard \d is not finished)"):
        Dataset(out).check_files()


def test_a_check_names_shards_that_are_not_finished_and_a_manifest_that_is_gone(out):
    (out / "state/train-00003.json").unlink()
    with pytest.raises(UsageError, match="shard 3 is not finished"):
        Dataset(out).check_files()
    shutil.rmtree(out / "manifest")
    with pytest.raises(UsageError, match="manifest is missing"):
        Dataset(out).check_files()


def test_rows_that_are_gone_or_unreadable_are_seen_by_whoever_reads_them(out):
    data = first_data(out)
    data.write_bytes(data.read_bytes()[:100])
    with pytest.raises(UsageError, match=rf"{data.name} (cannot be read|has \d rows)"):
        list(Dataset(out).tables(["id"]))
    data.unlink()
    with pytest.raises(UsageError, match=rf"{data.name} is missing"):
        list(Dataset(out).tables(["id"]))


def test_lines_deleted_from_a_shard_are_missed(settings, tmp_path):
    root = create_dataset(output=tmp_path / "out", config=settings).root
    for path, read in (
        (root / "data/train-00000.jsonl", Dataset(root).tables),
        (root / "rejected/train-00004.jsonl", Dataset(root).rejections),
    ):
        path.write_text("".join(path.read_text().splitlines(keepends=True)[1:]))
        with pytest.raises(UsageError, match=rf"{path.name} has \d (rows|lines), not the \d written"):
            list(read())


@pytest.mark.parametrize("change", [halved, zeroed, emptied, Path.unlink])
def test_a_damaged_manifest_is_one_sentence_and_planned_anew_when_deleted(tmp_path, make_clip, change):
    """Also where the corpus had grown since: the shards of the larger plan leave nothing behind."""
    corpus = build_corpus(tmp_path, make_clip)
    settings, out = settings_for(corpus), tmp_path / "out"
    create_dataset(output=out, config=settings)
    for number in range(3):
        make_clip(f"late{number}.wav")
        with (tmp_path / "text.txt").open("a") as file:
            file.write(f"late{number}:late text\n")
        create_dataset(output=out, config=settings)
    change(out / "manifest/part-00000.parquet")
    with pytest.raises(UsageError, match=r"delete the folder .*manifest"):
        create_dataset(output=out, config=settings)
    shutil.rmtree(out / "manifest")
    create_dataset(output=out, config=settings)
    create_dataset(output=tmp_path / "fresh/out", config=settings)
    assert content(out) == content(tmp_path / "fresh/out")


def test_verification_sees_bytes_that_changed_in_place(out, capsys):
    for name in ("config.yaml", "manifest/part-00000.parquet", f"data/{first_data(out).name}"):
        path, before = out / name, (out / name).read_bytes()
        changed = before.replace(b"shard_size: 5", b"shard_size: 6").replace(b"u0", b"u9", 1)
        path.write_bytes(changed)
        assert changed != before, name
        assert main(["status", str(out), "--verify"]) != 0
        assert f"{name} has changed" in capsys.readouterr().err.replace(" at shard 0", "")
        path.write_bytes(before)
    assert main(["status", str(out), "--verify"]) == 0


def test_a_dataset_killed_between_its_last_shard_and_its_card_is_closed_by_the_next_run(tmp_path, make_clip):
    """The files of the smaller dataset stand in for a kill at each point between the two."""
    corpus = build_corpus(tmp_path, make_clip)
    for output in (tmp_path / "folder", tmp_path / "one.jsonl"):
        settings = settings_for(corpus, **{"output.format": "jsonl"})
        root = create_dataset(output=output, config=settings).root
        names = ("README.md", "stats.json", *(["joined.json"] if output.suffix else []))
        before = {root / name: (root / name).read_bytes() for name in names}
        before |= {output: output.read_bytes()} if output.suffix else {}
        make_clip(f"late{output.stem}.wav")
        with (tmp_path / "text.txt").open("a") as file:
            file.write(f"late{output.stem}:late text\n")
        create_dataset(output=output, config=settings)
        after = {path: path.read_bytes() for path in before}
        for written in range(len(before)):  # files that were replaced before the kill
            for path in list(before)[written:]:
                path.write_bytes(before[path])
            said_by_a_run(output, settings)
            assert {path: path.read_bytes() for path in before} == after
            assert json.loads((root / "stats.json").read_text())["rows"] == Dataset(root).stats()["rows"]


def test_a_joined_file_that_is_gone_cut_short_or_forgotten_is_made_again(settings, tmp_path, capsys):
    output = tmp_path / "one.jsonl"
    mark = tmp_path / "one.jsonl.parts/joined.json"
    create_dataset(output=output, config=settings)
    whole = output.read_bytes(), mark.read_bytes()
    for damage in (
        output.unlink,
        lambda: halved(output),
        mark.unlink,
        lambda: zeroed(mark),
        lambda: halved(mark),
    ):
        damage()
        assert main(["status", str(output), "--verify"]) == 1
        assert "one.jsonl" in capsys.readouterr().err
        assert said_by_a_run(output, settings)[-1] == "finished before: made one.jsonl again"
        assert (output.read_bytes(), mark.read_bytes()) == whole
    output.write_bytes(whole[0].replace(b"text 1", b"text 2", 1))
    assert main(["status", str(output), "--verify"]) == 1
    assert "one.jsonl has changed" in capsys.readouterr().err


def test_one_file_is_complete_though_too_many_clips_were_rejected(corpus, tmp_path):
    settings = settings_for(corpus, **{"limits.max_reject_rate": 0.0})
    for _ in range(2):
        with pytest.raises(TooManyRejected, match="complete but for them"):
            create_dataset(output=tmp_path / "one.jsonl", config=settings)
        assert len((tmp_path / "one.jsonl").read_text().splitlines()) == CLIPS


@pytest.mark.parametrize(
    "change",
    [
        ("  split: train", "  split: ../../elsewhere"),
        ("  split: train", "  split: [a]"),
        ("format: jsonl", "format: ../x"),
        ("settings:", "odd:"),
        ("fingerprint: ", "fingerprint: !!python/object/apply:os.system [x] #"),
        ("fingerprint: ", "x: &a [1]\ny: [*a, *a]\nfingerprint: "),
    ],
)
def test_a_configuration_that_a_stranger_wrote_names_no_files_elsewhere(settings, tmp_path, change, capsys):
    root = create_dataset(output=tmp_path / "out", config=settings).root
    config = root / "config.yaml"
    assert change[0] in config.read_text()
    config.write_text(config.read_text().replace(*change, 1))
    before = content(tmp_path)
    for words in (["status", str(root)], ["validate", str(root)], ["push", str(root), "user/name"]):
        assert main(words) == 2
        assert len(capsys.readouterr().err.splitlines()) == 1
    with pytest.raises(UsageError):
        create_dataset(output=root, config=settings)
    assert content(tmp_path) == before


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9/x", "zip::http://127.0.0.1:9/x", "file:///etc", "ssh://a/b"]
)
def test_a_location_that_is_no_object_store_is_never_asked(url):
    with pytest.raises(UsageError, match="is no object store"):
        resolve_path(url)


@pytest.mark.parametrize("named", ["s3://somebody/audio", "memory://clips", "owner/name"])
def test_what_a_strangers_configuration_names_in_a_store_is_asked_only_if_the_user_names_it(
    settings, tmp_path, named
):
    folder = tmp_path / "out"
    dataset = create_dataset(output=folder, config=settings)
    own = dataset.settings["corpus"]["audio"]
    config = folder / "config.yaml"
    config.write_text(
        config.read_text().replace(f"audio: {own}", f"audio: {named}\n    allow_remote: true", 1)
    )
    tampered = Dataset(folder)
    assert tampered.settings["corpus"]["audio"] == named
    assert tampered.corpus().audio is None
    assert not tampered.corpus().allow_remote
    assert tampered.corpus(audio=named).audio == named
    assert dataset.corpus().audio == own
