"""The page in a browser: what a person does, in both languages."""

from __future__ import annotations

import argparse
import contextlib
import http.client
import io
import json
import os
import re
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

pytest.importorskip("gradio")
pytest.importorskip("selenium")

import screenshots
from PIL import Image
from selenium.webdriver.common.keys import Keys
from ui_helpers import Page, called, chromium_is_here, free_port, open_browser, until

from pipeline.__main__ import main
from pipeline.cli import ui

ROOT = Path(__file__).parents[1]
ALONE = {**os.environ, "OMP_NUM_THREADS": "1"}  # the browser needs the other core
CODEC = ("--codec", "data/sample/codec-random")
CODES = 25
HOP, RATE = 320, 16_000
LISTEN = """
window.heard = [];
const start = AudioBufferSourceNode.prototype.start;
AudioBufferSourceNode.prototype.start = function (...when) {
    if (this.buffer.numberOfChannels === 1) window.heard.push(this.buffer.length / this.buffer.sampleRate);
    return start.apply(this, when);
};
"""
HEARD_SECONDS = "return window.heard.reduce((sum, seconds) => sum + seconds, 0)"
TAG = "<script>document.title='owned'<script><img src=x onerror=\"document.title='owned'\">"

pytestmark = pytest.mark.skipif(not chromium_is_here(), reason="needs chromium and chromium-driver")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three clips and one that is no audio."""
    folder = tmp_path_factory.mktemp("corpus")
    noise = np.random.default_rng(0)
    for name in ("one", "two", "three"):
        soundfile.write(folder / f"{name}.wav", noise.normal(0, 0.1, RATE).astype(np.float32), RATE)
    (folder / "broken.wav").write_bytes(b"no audio at all")
    texts = folder / "texts.txt"
    texts.write_text(
        f"one:First words\ntwo:こんにちは\nthree:Third {TAG}\nbroken:Lost words\n{TAG}:No file\n",
        encoding="utf-8",
    )
    made = folder / "out"
    command = [sys.executable, "create_dataset.py", folder, texts, "-o", made, "--num-workers", "0", *CODEC]
    subprocess.run(command, cwd=ROOT, env=ALONE, check=True, capture_output=True)
    return made


@pytest.fixture(scope="module")
def address(dataset: Path) -> Iterator[str]:
    command = [
        sys.executable,
        "-u",
        "gradio_tts_ui.py",
        "data/sample/llasa-random",
        *CODEC,
        "--dataset",
        str(dataset),
        "--port",
        str(free_port()),
    ]
    server = subprocess.Popen(
        command, cwd=ROOT, env=ALONE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert server.stdout is not None
    line = next(line for line in server.stdout if "http://" in line)
    yield line.split()[-1]
    server.kill()
    server.wait()
    server.stdout.close()


@pytest.fixture(scope="module")
def english(address: str) -> Iterator[Page]:
    browser = open_browser("en-US")
    yield Page(browser, address)
    browser.quit()


@pytest.fixture(scope="module")
def japanese(address: str) -> Iterator[Page]:
    browser = open_browser("ja", width=420)
    yield Page(browser, address)
    browser.quit()


def seconds(wav: bytes) -> float:
    return float(soundfile.info(io.BytesIO(wav)).duration)


def ready(page: Page, words: str) -> Page:
    page.until(lambda: words in page.text("#state"))
    page.tab(1)
    page.until(lambda: page.can_press("generate"))
    if not page.value("max_codes"):
        page.open("sampling")
    page.until(lambda: page.value("max_codes"))
    return page


def speak(page: Page, text: str, codes: int = CODES, seed: int = 1) -> None:
    page.type("max_codes", str(codes))
    page.type("seed", str(seed))
    page.type("text", text)
    page.click("#generate")


def test_english_text_becomes_sound_of_the_right_length_with_its_figures(english: Page) -> None:
    ready(english, "✅ Ready")
    speak(english, "Hello there, my friend.")
    status = english.wait_status("✅ Done! ⏱️")
    assert f"{CODES} codes" in status
    assert all(
        part in status for part in ("tokenising", "generating", "extracting", "decoding", "× real time")
    )
    english.wait_sound("speech", CODES * HOP / RATE)
    assert len(english.value("codes").split()) == CODES


def test_japanese_browsers_see_japanese_and_the_normalised_text_as_they_type(japanese: Page) -> None:
    ready(japanese, "✅ 準備完了")
    assert japanese.text("#generate") == "生成"
    japanese.type("text", "ﾃｽﾄ　１２３！？です")
    japanese.until(lambda: japanese.value("normalised") == "テスト123!?です")
    speak(japanese, "ﾃｽﾄ　１２３！？です")
    assert "秒" in japanese.wait_status("✅ 生成完了！ ⏱️")
    assert "生成 " in japanese.value("status")
    japanese.wait_sound("speech", CODES * HOP / RATE)


def test_ctrl_enter_generates(english: Page) -> None:
    ready(english, "✅ Ready")
    english.type("max_codes", str(CODES))
    english.type("seed", "2")
    english.type("text", "Said by a key.")
    english.find("#text textarea").send_keys(Keys.CONTROL, Keys.ENTER)
    english.wait_status("seed 2")


def test_the_page_says_what_the_sample_model_is_and_offers_sentences_of_its_training(
    english: Page, japanese: Page
) -> None:
    english.until(lambda: "demonstration" in english.text("#about"))
    japanese.until(lambda: "デモ" in japanese.text("#about"))
    assert "The conference is now locked." in english.text("body")


def test_an_empty_text_is_one_sentence_and_the_button_is_there_again(english: Page) -> None:
    ready(english, "✅ Ready")
    english.type("text", "")
    english.click("#generate")
    english.until(lambda: "there is nothing to say: the text is empty" in english.shown_texts())
    english.until(lambda: english.can_press("generate"))
    assert english.shown_texts().count("Error") == 1  # the message's own title
    assert english.value("status") == ""


def test_long_speech_is_heard_while_it_is_made_unless_told_not_to(english: Page) -> None:
    ready(english, "✅ Ready")
    english.browser.execute_script(LISTEN)
    english.type("seed", "3")
    english.type("max_codes", "400")
    english.type("text", "A sentence that is long enough to be heard in many pieces.")
    english.press("#generate")
    english.until(lambda: english.browser.execute_script("return window.heard.length > 1"))
    assert english.text("#generate") == "⏳ Working…"
    assert not english.can_press("generate")
    assert "400 codes" in english.wait_status("first sound after")
    assert english.browser.execute_script("return window.heard.length") > 2
    english.until(lambda: english.browser.execute_script(HEARD_SECONDS) == 400 * HOP / RATE)
    english.until(lambda: english.can_press("generate"))
    english.click("#aloud input")
    speak(english, "Not to be heard at once.")
    english.wait_status(f"{CODES} codes")
    assert english.browser.execute_script(HEARD_SECONDS) == 400 * HOP / RATE
    english.click("#aloud input")


def test_earlier_takes_stay_to_compare_and_download(japanese: Page) -> None:
    ready(japanese, "✅ 準備完了")
    for seed, codes in ((4, 25), (5, 50), (6, 75)):
        japanese.until(lambda: japanese.can_press("generate"))
        speak(japanese, f"{codes}コードの文です。", codes, seed)
        japanese.wait_status(f"シード {seed}")
    assert "以前の生成結果" in japanese.text("body")
    japanese.wait_sound("speech", 75 * HOP / RATE)
    japanese.wait_sound("take_1", 50 * HOP / RATE)
    japanese.wait_sound("take_2", 25 * HOP / RATE)
    assert "50コードの文です" in japanese.text("#take_1")


def test_stop_ends_a_long_generation_and_keeps_what_was_said(english: Page) -> None:
    ready(english, "✅ Ready")
    speak(english, "A long story that is not to be heard to its end.", 2000)
    english.wait_status("⏳")
    english.click("#stop")
    english.wait_status("⏹️ Stopped.")
    assert 0 < seconds(english.sound("speech")) < 2000 * HOP / RATE


def test_a_reference_without_a_transcript_is_a_message_and_with_one_is_spoken_after(
    english: Page, dataset: Path
) -> None:
    ready(english, "✅ Ready")
    english.open("voice")
    english.upload("reference", dataset.parent / "one.wav")
    english.until(
        lambda: english.browser.execute_script("return !!document.querySelector('#reference audio')")
    )
    speak(english, "Said in another voice.", 30)
    english.until(lambda: "needs its transcript" in english.text("body"))
    assert "Traceback" not in english.text("body")
    english.type("transcript", "First words")
    speak(english, "Said in another voice.", 30)
    english.wait_status("30 codes")
    english.wait_sound("speech", 30 * HOP / RATE)


def test_a_clip_goes_through_the_codec_and_back(english: Page, dataset: Path) -> None:
    english.tab(2)
    english.upload("clip", dataset.parent / "two.wav")
    english.until(lambda: english.browser.execute_script("return !!document.querySelector('#clip audio')"))
    english.click("#round_trip")
    assert f"{RATE // HOP + 1} codes" in english.wait_status("✅ Done!", "codec_status")
    english.wait_sound("original", 1.0)
    english.wait_sound("decoded", (RATE // HOP + 1) * HOP / RATE)


def test_a_dataset_is_searched_heard_and_its_rejections_are_explained(japanese: Page) -> None:
    japanese.tab(3)
    japanese.until(lambda: "First words" in japanese.text("#rows"))
    assert "not_audio" in japanese.text("#rejected")
    assert "broken" in japanese.text("#rejected")
    japanese.type("search", "こんにち", Keys.ENTER)
    japanese.until(lambda: "First words" not in japanese.text("#rows"))
    japanese.type("search", "", Keys.ENTER)
    japanese.until(lambda: "First words" in japanese.text("#rows"))
    japanese.type("where", "text = 'こんにちは'", Keys.ENTER)
    japanese.until(lambda: "First words" not in japanese.text("#rows"))
    japanese.press("#rows [role=gridcell]")
    japanese.wait_sound("source_audio", 1.0)
    japanese.wait_sound("decoded_audio", (RATE // HOP + 1) * HOP / RATE)
    assert len(japanese.value("row_codes").split()) == RATE // HOP + 1
    japanese.click("#use_voice")
    japanese.tab(1)
    japanese.open("voice")
    japanese.until(lambda: japanese.value("row_voice") == "こんにちは")


def test_many_lines_are_spoken_at_once(english: Page) -> None:
    ready(english, "✅ Ready")
    english.type("max_codes", str(CODES))
    english.type("seed", "1")
    english.open("batch")
    english.type("lines", "The first line.\n\nThe second line.")
    english.click("#generate_lines")
    english.wait_status(f"{2 * CODES} codes")
    english.until(lambda: "The second line." in english.text("#results"))


def test_the_pictures_of_the_readme_show_what_was_done_on_each_tab(
    address: str, dataset: Path, tmp_path: Path
) -> None:
    report = ["--sample", "0", "--exact", "0", "--report", str(tmp_path)]
    assert main(["validate", str(dataset), *report]) in (0, 4)
    screenshots.of_report(tmp_path / "index.html", tmp_path)
    screenshots.of_page(address, "one", dataset.parent / "two.wav", tmp_path)
    taken = {path.stem: Image.open(path) for path in tmp_path.glob("*.png")}
    assert set(taken) == {path.stem for path in (ROOT / "docs" / "images").glob("*.png")}
    for name, picture in taken.items():
        assert picture.width == (390 if "phone" in name else 1100)
        assert 400 < picture.height <= 1500
        assert len(picture.getcolors()) > 20  # no empty page


def test_two_users_at_once_are_both_served(english: Page, japanese: Page) -> None:
    for page, words in ((english, "✅ Ready"), (japanese, "✅ 準備完了")):
        ready(page, words)
        speak(page, "At once.", 60)
    english.wait_status("60 codes")
    japanese.wait_status("60コード")


def test_texts_and_ids_of_a_dataset_are_shown_as_text(english: Page) -> None:
    english.tab(3)
    english.until(lambda: "<script>" in english.text("#rows"))
    assert "<script>" in english.text("#rejected")
    ready(english, "✅ Ready")
    speak(english, TAG)
    english.wait_status("codes")
    english.open("batch")
    english.type("lines", TAG)
    english.click("#generate_lines")
    english.until(lambda: "<script>" in english.text("#results"))
    assert english.browser.title == "LLASA"


def test_a_program_gets_no_file_that_it_names_and_no_text_longer_than_the_page_allows(address: str) -> None:
    clip = {"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}
    sampling = [0.8, 1.0, 50, 1.1, CODES]
    for said, function, data in (
        ("passwd", "speak", ["Hello.", None, clip, "", None, *sampling, "1"]),
        ("at most 4,000", "speak", ["x" * 5_000, None, None, "", None, *sampling, "1"]),
        ("at most 4,000", "speak", ["Hello.", None, None, "x" * 5_000, None, *sampling, "1"]),
        ("at most 4,000", "speak_lines", ["x" * 5_000, None, "", None, *sampling, "1"]),
        ("at most 256,000", "speak_lines", ["x" * 300_000, None, "", None, *sampling, "1"]),
        ("at most 64", "speak_lines", ["x\n" * 65, None, "", None, *sampling, "1"]),
        ("is not a whole number", "speak", ["Hello.", None, None, "", None, *sampling, "9" * 5_000]),
    ):
        events = called(address, function, data)
        assert "process_completed" in events
        assert '"success":false' in events.replace(" ", "")
        assert said in events or said == "passwd"
        assert "root:" not in events


def test_the_page_deletes_what_is_old_leaves_nothing_and_lets_nobody_else_read_what_it_keeps(
    tmp_path: Path,
) -> None:
    forgetful = (
        "import sys; from pipeline.__main__ import main; from pipeline.ui import private_files; "
        "private_files.KEPT = (0.1, 3.0); sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-u", "-c", forgetful, "ui", "data/sample/llasa-random", *CODEC]
    environment = {**ALONE, "TMPDIR": str(tmp_path)}
    server = subprocess.Popen(
        [*command, "--port", str(free_port())],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert server.stdout is not None
    with server.stdout, contextlib.ExitStack() as ended:
        ended.callback(server.kill)  # if it fails before it ends
        address = next(line for line in server.stdout if "http://" in line).split()[-1]
        spoken = called(address, "speak", ["Hello.", [], None, "", None, 0.8, 1.0, 50, 1.1, CODES, "1"])
        sound, *_ = map(Path, re.findall(r'"path": ?"([^"]+\.wav)"', spoken))
        body = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.wav"\r\n\r\n1\r\n--x--\r\n'
        headers = {"Content-Type": "multipart/form-data; boundary=x"}
        request = urllib.request.Request(f"{address}/gradio_api/upload", body, headers)
        with urllib.request.urlopen(request) as answer:
            (uploaded,) = map(Path, json.load(answer))
        kept = [path for path in tmp_path.rglob("*") if path.is_file() or path.is_dir()]
        assert uploaded in kept
        assert [path for path in kept if path.stat().st_mode & 0o077] == []
        assert sound.is_relative_to(tmp_path)
        until(lambda: not (sound.exists() or uploaded.exists()))
        server.terminate()
        server.wait(60)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("path", ["/etc/passwd", str(ROOT / "pyproject.toml"), "../../etc/passwd"])
def test_files_outside_cannot_be_fetched(address: str, path: str) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{address}/gradio_api/file={path}")
    assert refused.value.code in (403, 404)
    refused.value.close()


def test_large_uploads_are_refused(address: str) -> None:
    body = (
        b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.wav"\r\n\r\n'
        + bytes(21 * 10**6)
        + b"\r\n--x--\r\n"
    )
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    with contextlib.closing(
        http.client.HTTPConnection(address.removeprefix("http://").strip("/"))
    ) as connection:
        with contextlib.suppress(ConnectionError):  # it may hang up before all is sent
            connection.request("POST", "/gradio_api/upload", body, headers)
        assert connection.getresponse().status == 413


def test_the_page_listens_on_this_machine_only_and_without_a_tunnel_unless_told() -> None:
    parser = argparse.ArgumentParser()
    ui.add_arguments(parser)
    usual = parser.parse_args([])
    assert (usual.host, usual.share) == ("127.0.0.1", False)
