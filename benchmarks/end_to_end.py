"""From audio files to a finished dataset: this pipeline against the plain loop, in one run.

.venv/bin/python -m benchmarks.end_to_end                 2,000 clips, the sample codec
.venv/bin/python -m benchmarks.end_to_end --clips 200

The plain loop is what people run today: read, resample, extract features, encode, write, one clip at a time.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from collections import Counter
from pathlib import Path

import soundfile
import torch
import torchaudio
from transformers import AutoFeatureExtractor, Xcodec2Model

from benchmarks.common import save, seconds
from pipeline.audio.decode import decode
from pipeline.build.create import create
from pipeline.codec.checkpoint import find
from pipeline.config import Settings
from pipeline.dataset.reader import Dataset
from pipeline.storage.claims import claimed

SAMPLE = Path(__file__).parents[1] / "data" / "sample"
SOUNDFILE = {".wav", ".flac", ".mp3", ".ogg", ".opus"}  # what the plain loop's reader can open


def make_corpus(root: Path, clips: int) -> list[tuple[Path, str]]:
    """Copies of the sample clips, each with an id of its own."""
    lines = (SAMPLE / "transcripts.txt").read_text(encoding="utf-8").splitlines()
    texts = dict(line.split(":", 1) for line in lines)
    originals = [
        p for p in sorted((SAMPLE / "audio").rglob("*")) if p.suffix in SOUNDFILE and p.stem in texts
    ]
    corpus = []
    (root / "audio").mkdir()
    with (root / "text.txt").open("w", encoding="utf-8") as file:
        for number in range(clips):
            original = originals[number % len(originals)]
            path = root / "audio" / f"{number:05d}-{original.name}"
            shutil.copyfile(original, path)
            corpus.append((path, texts[original.stem]))
            file.write(f"{path.stem}:{texts[original.stem]}\n")
    return corpus


def plain_loop(corpus: list[tuple[Path, str]], codec: str, output: Path) -> dict[str, list[int]]:
    """One clip at a time through the native model and its feature extractor."""
    model = Xcodec2Model.from_pretrained(codec, dtype=torch.float32).eval()
    extractor = AutoFeatureExtractor.from_pretrained(codec)
    found = {}
    with output.open("w", encoding="utf-8") as file, torch.inference_mode():
        for path, text in corpus:
            samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
            waveform = torch.from_numpy(samples).mean(dim=1)
            if rate != extractor.sampling_rate:
                waveform = torchaudio.functional.resample(waveform, rate, extractor.sampling_rate)
            inputs = extractor(audio=waveform, sampling_rate=extractor.sampling_rate, return_tensors="pt")
            codes = model.encode(**inputs).audio_codes[0, 0].tolist()
            file.write(json.dumps({"text": text, "code": codes}, ensure_ascii=False) + "\n")
            found[path.stem] = codes
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips", type=int, default=2000)
    parser.add_argument("--workers", type=int, default=None)
    arguments = parser.parse_args()
    settings = Settings()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        corpus = make_corpus(root, arguments.clips)
        audio = sum(
            decode(path, max_seconds=60, deadline_seconds=60)[0].shape[0] / soundfile.info(path).samplerate
            for path, _ in corpus
        )
        unresampled = {path.stem for path, _ in corpus if soundfile.info(path).samplerate == 16000}
        chosen = settings.with_values(
            {
                "corpus.audio": str(root / "audio"),
                "corpus.text": str(root / "text.txt"),
                "load.num_workers": arguments.workers,
            }
        )

        def ours() -> None:
            with claimed(root / "out"):
                create(root / "out", chosen, lambda line: None)

        plain_codes: dict[str, list[int]] = {}
        our_seconds = seconds(ours)
        plain_seconds = seconds(
            lambda: plain_codes.update(
                plain_loop(corpus, str(find(settings.codec.name).folder), root / "plain.jsonl")
            )
        )
        our_codes = {
            row["id"]: row["code"]
            for table in Dataset(root / "out").tables(["id", "code"])
            for row in table.to_pylist()
        }
    differing = Counter(
        name in unresampled
        for name, codes in plain_codes.items()
        for ours, plain in zip(our_codes[name], codes, strict=True)
        if ours != plain
    )
    total = sum(map(len, plain_codes.values()))
    print(f"{arguments.clips:,} clips, {audio / 60:.1f} minutes of audio")
    print(f"plain loop   {plain_seconds:7.1f} s  {audio / plain_seconds:6.0f}× real time")
    print(f"pipeline     {our_seconds:7.1f} s  {audio / our_seconds:6.0f}× real time")
    print(f"ratio        {plain_seconds / our_seconds:7.2f}")
    print(f"codes        {total:,}; {differing[True]} differ where no resampling was needed,")
    print(f"             {differing[False]} where the loop resampled by a function with a coarser kernel")
    save(
        "end_to_end",
        {
            "clips": arguments.clips,
            "audio_seconds": audio,
            "plain_seconds": plain_seconds,
            "pipeline_seconds": our_seconds,
            "ratio": plain_seconds / our_seconds,
            "codes": total,
            "codes_that_differ": differing[True],
            "codes_that_differ_resampled": differing[False],
        },
    )


if __name__ == "__main__":
    main()
