"""Takes the pictures of the README: each tab of the page, the page on a phone, and the report.

make screenshots        # docs/images/, of the sample corpus and the sample models
"""

from __future__ import annotations

import io
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from ui_helpers import Page, free_port, open_browser

ROOT = Path(__file__).resolve().parents[1]
WIDTH, PHONE = 1100, 390  # pixels
TALLEST = 1500  # pixels; what is below is cut off
REPORT_HEIGHT = 1250  # pixels: verdict, checks and the first clip
COLOURS = 200
MOST_BYTES = 150_000
SENTENCE, EARLIER = "The conference is now locked.", "You are no longer muted."


def of_page(address: str, row: str, clip: Path, folder: Path) -> None:
    """Take the tabs after they were used: two takes spoken, `clip` through the codec, row `row` heard."""
    with open_page(address, "en-US", WIDTH) as page:
        speak(page, EARLIER, "✅ Done")
        speak(page, SENTENCE, "✅ Done")
        page.until(lambda: EARLIER[:20] in page.text("#take_1"))
        save(page, folder / "page-speak.png")
        page.tab(2)
        page.upload("clip", clip)
        page.until(lambda: page.browser.execute_script("return !!document.querySelector('#clip audio')"))
        page.click("#round_trip")
        page.wait_status("✅", "codec_status")
        page.sound("decoded")
        save(page, folder / "page-codec.png")
        page.tab(3)
        page.press("#rows [role=gridcell]")
        page.sound("decoded_audio")
        page.until(lambda: row in page.text("#rows"))
        save(page, folder / "page-dataset.png")
    with open_page(address, "ja", PHONE) as page:
        speak(page, SENTENCE, "✅ 生成完了")
        save(page, folder / "page-phone-ja.png")


def of_report(report: Path, folder: Path) -> None:
    """Take the upper part of a validation report."""
    browser = open_browser("en-US")
    try:
        page = Page(browser, report.resolve().as_uri())
        fit(page, WIDTH, REPORT_HEIGHT)
        save(page, folder / "report.png")
    finally:
        browser.quit()


@contextmanager
def open_page(address: str, language: str, width: int) -> Iterator[Page]:
    """Open the page in a browser of that width, its model loaded."""
    browser = open_browser(language)
    try:
        page = Page(browser, address)
        fit(page, width)
        page.until(lambda: page.can_press("generate"))
        yield page
    finally:
        browser.quit()


def speak(page: Page, text: str, done: str) -> None:
    page.type("text", text)
    page.until(lambda: page.value("normalised") == text and page.can_press("generate"))
    page.click("#generate")
    page.until(lambda: not page.can_press("generate"))
    page.until(lambda: page.can_press("generate"))
    page.wait_status(done)
    page.sound("speech")


def fit(page: Page, width: int, height: int = TALLEST) -> None:
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width == PHONE}
    page.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


def save(page: Page, path: Path) -> None:
    """Save what is shown, as far as the page goes, in few colours. Raises ValueError if it is too large."""
    page.browser.execute_script("document.activeElement.blur(); window.scrollTo(0, 0)")
    bottom = page.browser.execute_script(
        "return Math.max(...[...document.querySelectorAll('.block, .form, section, article')]"
        ".map(one => one.getBoundingClientRect().bottom))"
    )
    shot = Image.open(io.BytesIO(page.browser.get_screenshot_as_png())).convert("RGB")
    shot = shot.crop((0, 0, shot.width, min(shot.height, round(bottom) + 10)))
    path.parent.mkdir(parents=True, exist_ok=True)
    shot.quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)
    if path.stat().st_size > MOST_BYTES:
        raise ValueError(
            f"{path} has {path.stat().st_size:,} bytes; at most {MOST_BYTES:,} go into the README"
        )


def main(folder: Path) -> None:
    """Make the sample dataset and its report, serve the page, and take all pictures."""
    with tempfile.TemporaryDirectory() as temporary:
        dataset = Path(temporary) / "sample"
        run = [sys.executable, "-m", "pipeline"]
        subprocess.run([sys.executable, "create_dataset.py", "-o", dataset], cwd=ROOT, check=True)
        subprocess.run([*run, "validate", dataset, "--sample", "16"], cwd=ROOT, check=True)
        of_report(dataset / "report" / "index.html", folder)
        command = [sys.executable, "-u", "gradio_tts_ui.py", "--dataset", dataset, "--port", str(free_port())]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout is not None
            try:
                address = next(line for line in server.stdout if "http://" in line).split()[-1]
                clip = next((ROOT / "data/sample/heldout").glob("*.flac"))
                of_page(address, "agent-alreadyon", clip, folder)
            finally:
                server.terminate()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
