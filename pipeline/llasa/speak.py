"""Says texts with one call: what the command `speak` and the library's users share."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pipeline.audio.encode import encoded
from pipeline.codec import load_codec
from pipeline.config import CodecSettings
from pipeline.errors import UsageError
from pipeline.llasa.loading import ModelSettings, sample_model
from pipeline.llasa.sampling import Sampling
from pipeline.llasa.speaking import Progress, Speech, open_speaker
from pipeline.llasa.voices import voice_of_row
from pipeline.storage.files import replacing

SUFFIXES = (".wav", ".flac", ".ogg", ".mp3")


def speak(
    texts: str | Sequence[str],
    *,
    model: str | ModelSettings | None = None,
    codec: str | CodecSettings | None = None,
    output: str | Path | None = None,
    sampling: Sampling | None = None,
    reference: tuple[str | Path, str] | None = None,
    row: tuple[str | Path, str | None] | None = None,
    normalise: str = "auto",
    server: str | None = None,
    server_model: str | None = None,
    progress: Progress | None = None,
) -> list[Speech]:
    """Speak texts with a LLASA model; with `output`, write them as sound files.

    `model` is a LoRA folder, a model folder, a Hugging Face id or `ModelSettings` (default: the sample
    model); `codec` the codec it was trained for. `output` is a sound file for one text, a folder for several
    (0001.wav and so on). The voice is that of `reference`, a clip and what is said in it, or of `row`, a
    dataset and the id of its row. `server` generates at an OpenAI-compatible endpoint instead of here.
    Returns a `Speech` for each text: codes, waveform, sample rate, seed. `progress` is told sentences and
    codes so far, and stops all by returning False.

    Raises UsageError for whatever is wrong with the arguments or the model.

    >>> from pipeline import speak
    >>> speech, = speak("Press one to go back.", output="hello.wav")
    >>> speech.sample_rate
    16000
    """
    texts = [texts] if isinstance(texts, str) else list(texts)
    paths = sound_files(output, len(texts)) if output is not None else []
    settings = model if isinstance(model, ModelSettings) else ModelSettings(name=model or sample_model())
    if codec is None or isinstance(codec, str):
        codec = CodecSettings(device=settings.device, **({"name": codec} if codec else {}))
    speaker = open_speaker(settings, load_codec(codec), server=server, server_model=server_model)
    voice = None
    if reference is not None:
        voice = speaker.voice_of_clip(Path(reference[0]), reference[1], normalise)
    elif row is not None:
        voice = voice_of_row(Path(row[0]), row[1], speaker.codec)
    spoken = speaker.speak(texts, sampling=sampling, voice=voice, mode=normalise, progress=progress)
    for path, speech in zip(paths, spoken, strict=False):
        write_sound(path, speech)
    return spoken


def sound_files(output: str | Path, count: int) -> list[Path]:
    """Name the files of `count` texts: `output` itself, or numbered files in the folder `output`.

    Raises UsageError if it can be neither.
    """
    output = Path(output)
    if output.suffix.lower() not in SUFFIXES:
        if output.suffix and not output.is_dir():
            raise UsageError(f"{output}: write one of {', '.join(SUFFIXES)}, or name a folder without a dot")
        return [output / f"{number:04d}.wav" for number in range(1, count + 1)]
    if count > 1:
        raise UsageError(f"{count} texts do not fit into {output.name}: give a folder with -o")
    return [output]


def write_sound(path: Path, speech: Speech) -> None:
    """Write a speech, complete or not at all, as the sound file that the path's suffix names.

    Raises UsageError for a rate that such a file cannot have, OSError if the system refuses it.
    """
    try:
        sound = encoded(speech.waveform.clip(-1, 1), speech.sample_rate, path.suffix[1:].upper())
    except ValueError as error:
        raise UsageError(f"cannot write {path}: {error}") from error
    with replacing(path) as temporary:
        temporary.write_bytes(sound)
