"""The page: its tabs, its looks, and how it is served."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from pipeline.ui import words
from pipeline.ui.codec_tab import CodecTab
from pipeline.ui.dataset_tab import DatasetTab
from pipeline.ui.examples import examples, is_sample
from pipeline.ui.speak_tab import SpeakTab
from pipeline.ui.studio import Studio

LARGEST_UPLOAD = "20mb"
WAITING = 32  # requests in the queue; more are turned away
LOOK_AGAIN = 0.5  # seconds between looks at whether the model is loaded
CSS = """
.gradio-container {max-width: 1200px !important; margin: auto; width: 100%}
.gradio-container main {width: 100%}
#spectrogram :has(img) {width: 100%}
#spectrogram img {width: 100% !important; height: 100% !important; object-fit: fill}
@media (max-width: 700px) {.columns {flex-direction: column !important}}
"""
SCRIPT = Path(__file__).with_name("page.js")


@dataclass(frozen=True)
class Page:
    """A page that is built, and its labels."""

    blocks: gr.Blocks
    labels: words.Labels


def build(studio: Studio, *, dataset: Path | None, mode: str) -> Page:
    """Build the page over a studio; `mode`: how text is normalised."""
    i18n = words.Labels()
    with gr.Blocks(title="LLASA", analytics_enabled=False) as page:
        state = gr.Markdown(elem_id="state")
        gr.Markdown(i18n("about_sample" if is_sample(studio.model) else "about"), elem_id="about")
        with gr.Tab(i18n("speak"), id="speak"):
            speak_tab = SpeakTab(studio, i18n, mode, examples(studio.model, dataset))
        with gr.Tab(i18n("codec"), id="codec"):
            codec_tab = CodecTab(studio, i18n)
        with gr.Tab(i18n("dataset"), id="dataset"):
            if dataset is None:
                gr.Markdown(i18n("no_dataset"))
            else:
                tab = DatasetTab(studio, i18n, dataset, speak_tab)
                page.load(
                    tab.search,
                    [tab.query, tab.where],
                    [tab.table, tab.found, tab.rejected],
                    queue=False,
                )
        page.load(None, None, None, js=SCRIPT.read_text(encoding="utf-8"))
        timer = gr.Timer(LOOK_AGAIN)

        buttons = {
            "generate": speak_tab.generate,
            "generate_lines": speak_tab.lines.generate,
            "round_trip": codec_tab.button,
        }

        def look(request: gr.Request) -> tuple[Any, ...]:
            """Show on the page, and on the buttons that need the model, how far loading is."""
            state, loading = _state(studio, request), studio.loading
            shown = [
                gr.Button(words.label(request, "loading" if loading else key), interactive=not loading)
                for key in buttons
            ]
            return state, gr.Timer(active=loading), *shown

        looked = [state, timer, *buttons.values()]
        page.load(look, None, looked, queue=False, show_progress="hidden")
        timer.tick(look, None, looked, queue=False, show_progress="hidden")
    return Page(page, i18n)


def serve(page: Page, *, host: str, port: int | None, share: bool, wait: bool = True) -> str:
    """Serve the page and return its address; only what gradio itself stored can be fetched."""
    page.blocks.queue(max_size=WAITING, api_open=False)
    _, address, _ = page.blocks.launch(
        server_name=host,
        server_port=port,
        share=share,
        prevent_thread_lock=not wait,
        max_file_size=LARGEST_UPLOAD,
        show_error=True,
        quiet=not wait,
        i18n=page.labels.tables,
        theme=gr.themes.Soft(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]),
        css=CSS,
        footer_links=[],
        ssr_mode=False,
        pwa=False,
    )
    return str(address)


def _state(studio: Studio, request: gr.Request) -> str:
    if studio.loading:
        return words.translate(request, "loading", seconds=studio.seconds)
    if studio.error is not None:
        return words.translate(request, "failed", error=escape(studio.error))
    return words.translate(request, "ready", model=escape(studio.model), seconds=studio.seconds)
