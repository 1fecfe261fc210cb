"""The corpus formats there are, and which of them a folder has.

To add one: a module with a `FORMAT`, and its row here.
"""

from __future__ import annotations

from pipeline.config import CorpusSettings
from pipeline.corpus import encodings
from pipeline.corpus.corpus import Corpus
from pipeline.corpus.format import CorpusProbe, Format
from pipeline.corpus.formats import (
    aishell3,
    columns,
    csv,
    gigaspeech,
    huggingface,
    json_array,
    jsonl,
    kaldi,
    lhotse,
    ljspeech,
    parquet,
    prepared,
    segments,
    sidecar,
    stm,
    tree,
    vctk,
    vits,
    webdataset,
)
from pipeline.corpus.listing import scan
from pipeline.errors import UsageError

FORMATS: dict[str, Format] = {  # in the order in which they are tried: the more particular first
    module.FORMAT.name: module.FORMAT
    for module in (
        *(prepared, parquet, huggingface, webdataset, kaldi, lhotse, vctk, stm, segments),
        *(jsonl, json_array, gigaspeech, csv, aishell3, ljspeech, vits, columns, tree, sidecar),
    )
}
IN_FOLDERS = (  # forms whose transcripts are not one file
    *("prepared", "kaldi", "tree", "sidecar", "segments", "stm", "vctk"),
)
WORKBOOKS = (".xlsx", ".xls", ".ods")
AS_CSV = "is a workbook: save its sheet as CSV (UTF-8) and give that"
SHOWN, WIDE = 3, 100  # lines, and characters of each, that the error for an unknown file shows
CHOICES = ("auto", *FORMATS)  # of --transcripts


def open_corpus(settings: CorpusSettings) -> Corpus:
    """Open the corpus that the settings name, in the format they name or the first that fits.

    Reads the first lines of the transcripts, and of the audio folder what tells the format. Raises
    UsageError, one sentence, if there is no such folder or file, or no format fits.
    """
    if settings.audio is None:
        raise UsageError("no audio: give a folder of recordings, or a Hugging Face dataset")
    if settings.transcripts not in CHOICES:
        raise UsageError(f"--transcripts {settings.transcripts} is none of {', '.join(CHOICES)}")
    if (settings.text or "").lower().endswith(WORKBOOKS):
        raise UsageError(f"{settings.text} {AS_CSV}")
    encodings.check(settings)
    if settings.file_index == settings.text_index:
        raise UsageError(f"file_index and text_index are both {settings.text_index}; they are two columns")
    if settings.transcripts != "auto":
        return FORMATS[settings.transcripts].open(
            CorpusProbe(settings, settings.transcripts not in IN_FOLDERS)
        )
    for given in [CorpusProbe(settings), CorpusProbe(settings, take_usual=False)][
        : 2 if settings.text is None else 1
    ]:
        for form in FORMATS.values():
            if form.fits(given):
                return form.open(given)
    raise UsageError(_nothing_fits(CorpusProbe(settings)))


def _nothing_fits(given: CorpusProbe) -> str:
    folder = given.audio_folder()
    if not given.index:
        ending = given.settings.ext or ".wav, .flac, .mp3 or another audio ending"
        return f"no file in {folder} has the ending {ending}; give the folder of the recordings"
    if given.text is None and given.folder is not None and (books := list(scan(given.folder, WORKBOOKS))):
        return f"{folder / books[0]} {AS_CSV}"
    looked = "; ".join(f"{form.name}: {form.known_by}" for form in FORMATS.values())
    where = given.text or folder
    rows = given.head(given.text_file)[:SHOWN] if given.text_file is not None else []
    begins = f", which begins {' ⏎ '.join(row[:WIDE] for row in rows)!r}," if rows else ""
    unknown = f"no transcripts were recognised in {where}{begins}"
    return f"{unknown} (looked for {looked}); choose one with --transcripts"
