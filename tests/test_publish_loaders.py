"""`--to webdataset` and `--to lhotse`, read back by the libraries themselves."""

from __future__ import annotations

import contextlib
import gc
import io
import itertools
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from publish_helpers import ROWS, make_dataset, row

from pipeline.__main__ import main
from pipeline.dataset.reader import Dataset
from pipeline.export import rows as export_rows

SAMPLE_AUDIO = Path(__file__).parents[1] / "data/sample/audio"
FORMS = ("webdataset", "lhotse")
Read = tuple[str, str, list[int]]  # id, text, codes

EXPECTED: list[Read] = [(row["id"], row["text"], row["code"]) for row in ROWS]


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return make_dataset(tmp_path / "out", ROWS).root


def export(out: Path, form: str, *more: str) -> Path:
    assert main(["export", str(out), "--to", form, *more]) == 0
    return out / "export" / form


@contextlib.contextmanager
def files_left_open() -> Iterator[None]:
    """The readers of both libraries leave their files to the collector, which is theirs to do."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        yield
        gc.collect()


def of_webdataset(folder: Path, split: str = "train") -> list[dict[str, Any]]:
    webdataset = pytest.importorskip("webdataset")
    urls = sorted(map(str, folder.glob(f"{split}-*.tar")))
    with files_left_open():
        return list(webdataset.WebDataset(urls, shardshuffle=False).decode())


def of_lhotse(folder: Path, split: str = "train") -> list[Any]:
    lhotse = pytest.importorskip("lhotse")
    with files_left_open():
        return list(lhotse.CutSet.from_shar(in_dir=folder / split))


def read(folder: Path, form: str, split: str = "train") -> list[Read]:
    if form == "webdataset":
        return [
            (found["json"]["id"], found["txt"], found["npy"].tolist())
            for found in of_webdataset(folder, split)
        ]
    return [
        (cut.supervisions[0].id, cut.supervisions[0].text, cut.load_codes().tolist())
        for cut in of_lhotse(folder, split)
    ]


@pytest.mark.parametrize("form", FORMS)
def test_the_library_reads_every_text_and_code_back(form: str, out: Path) -> None:
    assert read(export(out, form), form) == EXPECTED


@pytest.mark.parametrize("form", FORMS)
def test_rows_go_on_in_another_file_when_one_is_full(
    form: str, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_rows, "ROWS_PER_FILE", 3)
    folder = export(out, form)
    assert len([path for path in folder.rglob("*.tar") if "recording" not in path.name]) == 4
    assert read(folder, form) == EXPECTED


@pytest.mark.parametrize("form", FORMS)
def test_validation_rows_are_a_split_of_their_own(form: str, out: Path, tmp_path: Path) -> None:
    ids = tmp_path / "ids.txt"
    ids.write_text("set/0002\nset/0007\n")
    folder = export(out, form, "--split-by", "id", "--val-ids", str(ids))
    assert read(folder, form, "validation") == [EXPECTED[2], EXPECTED[7]]
    assert read(folder, form) == [one for i, one in enumerate(EXPECTED) if i not in (2, 7)]


def test_a_webdataset_sample_has_every_column_that_the_row_has(tmp_path: Path) -> None:
    rows = [row(0), row(1, speaker=None, language=None)]
    samples = of_webdataset(export(make_dataset(tmp_path / "out", rows).root, "webdataset"))
    assert [sample["json"] for sample in samples] == [
        {name: value for name, value in row.items() if name != "code" and value is not None} for row in rows
    ]
    assert [sample["npy"].dtype for sample in samples] == [np.uint16, np.uint16]


def test_load_dataset_reads_the_tars_as_well(out: Path, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    folder = export(out, "webdataset", "--val-share", "0.5")
    loaded = datasets.load_dataset(str(folder), cache_dir=str(tmp_path))
    assert set(loaded) == {"train", "validation"}
    found = [(one["json"]["id"], one["txt"], list(one["npy"])) for split in loaded.values() for one in split]
    assert sorted(found) == EXPECTED


def test_a_cut_states_speaker_language_and_source(out: Path) -> None:
    cuts = of_lhotse(export(out, "lhotse"))
    for cut, one in zip(cuts, ROWS, strict=True):
        stated = cut.supervisions[0]
        assert (cut.id, stated.speaker, stated.language) == (one["id"], one["speaker"], one["language"])
        assert (cut.duration, stated.duration, cut.audio) == (one["duration"], one["duration"], one["audio"])


def test_lhotse_reads_ids_that_no_file_could_be_called(tmp_path: Path) -> None:
    names = ["a//b", "./c", "d.e.f/", "../g", "h\ti", "長い" * 80, "/k"]
    rows = [row(number, id=name) for number, name in enumerate(names)]
    cuts = of_lhotse(export(make_dataset(tmp_path / "out", rows).root, "lhotse"))
    assert [cut.supervisions[0].id for cut in cuts] == names
    assert [cut.load_codes().tolist() for cut in cuts] == [one["code"] for one in rows]


@pytest.fixture
def recorded(out: Path) -> dict[str, np.ndarray]:
    """Recordings for ROWS, where the dataset has them from: by id, float32 (samples,)."""
    import yaml

    config = yaml.safe_load((out / "config.yaml").read_text())
    clips, texts = out.parent / "clips", out.parent / "texts.txt"
    config["settings"]["corpus"] |= {"audio": str(clips), "text": str(texts)}
    (out / "config.yaml").write_text(yaml.safe_dump(config))
    found = {}
    for one in ROWS:
        samples = round(one["duration"] * one["sample_rate"])
        wave = np.sin(np.arange(samples) / 20 + len(found)).astype(np.float32) / 2
        path = clips / one["audio"]
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, wave, one["sample_rate"], subtype="PCM_16")
        found[one["id"]] = soundfile.read(path, dtype="float32")[0]
    texts.write_text("".join(f"{one['audio']}|{one['id']}\n" for one in ROWS))
    return found


def test_webdataset_has_the_recordings_if_asked(out: Path, recorded: dict[str, np.ndarray]) -> None:
    samples = of_webdataset(export(out, "webdataset", "--embed-audio"))
    for sample, one in zip(samples, ROWS, strict=True):
        wave, rate = soundfile.read(io.BytesIO(sample["flac"]), dtype="float32")
        assert rate == one["sample_rate"]
        assert np.array_equal(wave, recorded[one["id"]])


def test_lhotse_cuts_have_the_recordings_if_asked(out: Path, recorded: dict[str, np.ndarray]) -> None:
    cuts = of_lhotse(export(out, "lhotse", "--embed-audio"))
    assert len(cuts) == len(ROWS)
    for cut, one in zip(cuts, ROWS, strict=True):
        assert cut.sampling_rate == one["sample_rate"]
        assert np.array_equal(cut.load_audio(), recorded[one["id"]][None])
        assert cut.load_codes().tolist() == one["code"]


def test_a_webdataset_export_with_audio_is_a_corpus_that_gives_the_same_codes(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    quiet = ("--max-samples", "8", "--num-workers", "0")
    assert main(["create", "-o", str(first), *quiet]) == 0
    folder = export(first, "webdataset", "--embed-audio")
    assert main(["create", str(folder), "-o", str(second), *quiet]) == 0
    one, other = (
        {row["id"]: row for table in Dataset(root).tables() for row in table.to_pylist()}
        for root in (first, second)
    )
    assert set(one) == set(other)
    assert [one[name]["text"] for name in one] == [other[name]["text"] for name in one]
    exact = [name for name in one if survives_as_flac(SAMPLE_AUDIO / one[name]["audio"])]
    assert len(exact) >= 2
    assert [one[name]["code"] for name in exact] == [other[name]["code"] for name in exact]


def survives_as_flac(path: Path) -> bool:
    """Whether the FLAC file of a source is sample for sample the source."""
    try:
        info = soundfile.info(path)
    except soundfile.LibsndfileError:
        return False
    return (info.subtype, info.channels) == ("PCM_16", 1)


@pytest.mark.parametrize("form", FORMS)
def test_an_export_is_the_same_bytes_again_and_after_a_kill(
    form: str, out: Path, tmp_path: Path, recorded: dict[str, np.ndarray]
) -> None:
    def content(folder: Path) -> dict[str, bytes]:
        return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.*")}

    one = content(export(out, form, "--embed-audio"))
    folder = tmp_path / "elsewhere"
    left = folder.with_name(".elsewhere.tmp")  # as a killed run leaves it
    left.mkdir()
    (left / "train-000000.tar").write_bytes(b"half")
    assert main(["export", str(out), "--to", form, "--embed-audio", "-o", str(folder)]) == 0
    assert content(folder) == one
    assert not left.exists()


@pytest.mark.parametrize("form", FORMS)
def test_a_recording_that_is_gone_ends_the_export_and_leaves_the_earlier_one(
    form: str, out: Path, recorded: dict[str, np.ndarray], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = export(out, form)
    before = read(folder, form)
    (out.parent / "clips" / ROWS[6]["audio"]).unlink()
    capsys.readouterr()
    assert main(["export", str(out), "--to", form, "--embed-audio"]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: cannot embed {ROWS[6]['audio']}: ")
    assert said.count("\n") == 1
    assert read(folder, form) == before
    assert [path.name for path in folder.parent.iterdir()] == [form]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("webdataset", "--tokenizer", "t"), "--to webdataset writes no tokens: leave out --tokenizer"),
        (("lhotse", "--max-length", "9", "--date", "d"), "leave out --max-length and --date"),
        (("sft",), "--to sft needs --tokenizer"),
        (("sft", "--tokenizer", "t", "--embed-audio"), "--embed-audio is for --to webdataset and lhotse"),
        (("lhotse", "--audio", "clips"), "--audio says where --embed-audio finds"),
        (("webdataset", "--messages"), "--messages is for --to sft"),
    ],
)
def test_what_does_not_fit_is_one_sentence(
    more: tuple[str, ...], said: str, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", str(out), "--to", *more]) == 2
    captured = capsys.readouterr().err
    assert said in captured
    assert captured.count("\n") == 1


@pytest.mark.parametrize("form", FORMS)
def test_a_damaged_dataset_is_not_exported_and_its_file_is_named(
    form: str, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = Dataset(out).files(1).data
    path.write_bytes(path.read_bytes()[:-9])
    assert main(["export", str(out), "--to", form]) == 2
    assert path.name in capsys.readouterr().err
    assert not list(itertools.chain((out / "export").rglob("*")))
