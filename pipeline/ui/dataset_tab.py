"""The third tab: a finished dataset, to search, to hear before and after the codec, with its rejections.

Sound is read by the rows' own locators and sent as samples: no path comes from the browser, none is served.
"""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.audio.decode import AudioError, decode, open_audio
from pipeline.corpus import open_corpus
from pipeline.dataset.reader import Dataset
from pipeline.errors import PipelineError, UsageError
from pipeline.llasa.speaking import Speaker
from pipeline.llasa.voices import Voice, check_codec, find_row
from pipeline.select.api import matching
from pipeline.ui import words
from pipeline.ui.callbacks import MODEL, listed, players, show_user_errors, sound
from pipeline.ui.speak_tab import SpeakTab
from pipeline.ui.studio import Studio

SHOWN = 50  # rows, and rejections
MOST_SECONDS = 60.0  # of a source that are sent
DEADLINE = 30.0
MOST_QUERY = 200  # characters


class DatasetTab:
    """Builds the tab of one dataset and answers its events."""

    def __init__(self, studio: Studio, i18n: Any, root: Path, speak_tab: SpeakTab) -> None:
        self.studio, self.dataset = studio, Dataset(root)
        self.rows_in_all = sum(state.rows for state in self.dataset.states())
        self._source: Any = None
        self.query = gr.Textbox("", label=i18n("search"), elem_id="search")
        self.where = gr.Textbox(
            "", label=i18n("where"), elem_id="where", placeholder="snr > 20 AND wer < 0.1"
        )
        self.found = gr.Textbox(show_label=False, container=False, interactive=False, elem_id="found")
        self.table = gr.Dataframe(
            label=i18n("rows"),
            interactive=False,
            wrap=True,
            elem_id="rows",
            column_widths=["22%", "50%", "13%", "15%"],
        )
        before, after = players(i18n, "source_audio", "decoded_audio")
        codes = gr.Textbox(label=i18n("codes"), interactive=False, lines=2, max_lines=5, elem_id="row_codes")
        chosen = gr.State(None)
        use = gr.Button(i18n("use_voice"), elem_id="use_voice")
        self.rejected = gr.Dataframe(
            label=i18n("rejected"),
            interactive=False,
            wrap=True,
            elem_id="rejected",
            column_widths=["22%", "18%", "60%"],
        )
        for box in (self.query, self.where):
            box.submit(
                self.search,
                [self.query, self.where],
                [self.table, self.found, self.rejected],
                queue=False,
            )
        self.table.select(
            self.listen,
            self.table,
            [before, after, codes, chosen],
            concurrency_id=MODEL,
            concurrency_limit=1,
        )
        use.click(self.use_voice, chosen, [speak_tab.voice.row_voice, speak_tab.voice.row_label], queue=False)

    @show_user_errors
    def search(self, query: str | None, where: str | None, request: gr.Request) -> tuple[Any, ...]:
        """Return the first rows, and the first rejections, that hold the words.

        The rows meet the condition `where` as well, as `select` understands it.
        """
        needle = (query or "")[:MOST_QUERY].strip().lower()
        condition = (where or "")[:MOST_QUERY].strip()
        kept = matching(self.dataset, condition) if condition else None
        rows = list(islice(self._matches(needle, kept), SHOWN))
        rejections = (
            [one["id"], one["reason"], one["detail"]]
            for one in self.dataset.rejections()
            if needle in f"{one['id']} {one['reason']} {one['detail']}".lower()
        )
        found = words.translate(request, "found", count=len(rows), total=self.rows_in_all)
        return (
            {"headers": words.columns(request, "rows"), "data": rows},
            found,
            {"headers": words.columns(request, "rejected"), "data": list(islice(rejections, SHOWN))},
        )

    @show_user_errors
    def listen(self, table: Any, request: gr.Request, event: gr.SelectData) -> tuple[Any, ...]:
        """Return source and decoded sound, codes, and the voice of the row that was chosen."""
        if self.studio.loading:
            raise UsageError(words.translate(request, "not_ready"))
        row = find_row(self.dataset, str(event.row_value[0]))
        codes = np.asarray(row["code"], dtype=np.uint16)

        def decode_row(speaker: Speaker) -> tuple[int, np.ndarray]:
            check_codec(self.dataset, speaker.codec)
            return sound(speaker.decode(codes), speaker.sample_rate)

        decoded = self.studio.submit(decode_row).result()
        try:
            source = sound(*self._read(row["audio"]))
        except (PipelineError, AudioError, OSError) as error:
            gr.Warning(words.translate(request, "no_source", error=getattr(error, "detail", str(error))))
            source = None
        return source, decoded, listed(codes), Voice(row["text"], codes)

    @show_user_errors
    def use_voice(self, chosen: Voice | None, request: gr.Request) -> tuple[Any, ...]:
        """Make the chosen row the voice of the first tab."""
        if chosen is None:
            raise UsageError(words.translate(request, "no_clip"))
        return chosen, gr.Textbox(value=chosen.text, visible=True)

    def _matches(self, needle: str, chosen: np.ndarray | None) -> Any:
        first = 0
        for table in self.dataset.tables(["id", "text", "duration", "code"]):
            mask = None if chosen is None else pa.array(chosen[first : first + len(table)])
            first += len(table)
            kept = table if mask is None else table.filter(mask)
            kept = kept.filter(_mask(kept, needle)) if needle else kept
            for row in kept.slice(0, SHOWN).to_pylist():
                yield [row["id"], row["text"], round(row["duration"], 1), len(row["code"])]

    def _read(self, locator: str) -> tuple[np.ndarray, int]:
        """Return the sound that a row was made from; if it is cut from a longer recording, that part."""
        if self._source is None:
            self._source = open_corpus(self.dataset.corpus()).source
        with open_audio(self._source, locator) as recording:
            waveform, rate = decode(recording, max_seconds=MOST_SECONDS, deadline_seconds=DEADLINE)
        return waveform.numpy(), rate


def _mask(table: pa.Table, needle: str) -> Any:
    return pc.or_(
        pc.match_substring(table["text"], needle, ignore_case=True),
        pc.match_substring(table["id"], needle, ignore_case=True),
    )
