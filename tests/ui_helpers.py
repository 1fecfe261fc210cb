"""The page on a port of its own, and a headless Chromium to look at it with."""

from __future__ import annotations

import io
import json
import shutil
import socket
import time
import urllib.request
from collections.abc import Callable
from typing import Any

import soundfile
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

PATIENCE = 90  # seconds; a busy machine is slow, a broken page never gets there


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


def chromium_is_here() -> bool:
    return bool(shutil.which("chromium") and shutil.which("chromedriver"))


def called(address: str, function: str, data: list[object]) -> str:
    """What a program gets that joins the queue for a function, as the browser does, once there is a model."""
    answers: list[str] = []

    def is_loaded() -> bool:
        answers.append(_called(address, function, data))
        return "the model is still loading" not in answers[-1]

    until(is_loaded)
    return answers[-1]


def _called(address: str, function: str, data: list[object]) -> str:
    with urllib.request.urlopen(f"{address}/config") as answer:
        functions = json.load(answer)["dependencies"]
    number = next(one["id"] for one in functions if one["api_name"] == function)
    body = json.dumps({"data": data, "fn_index": number, "session_hash": "program"}).encode()
    headers = {"Content-Type": "application/json"}
    joined = urllib.request.Request(f"{address}/gradio_api/queue/join", body, headers)
    with urllib.request.urlopen(joined):
        pass
    with urllib.request.urlopen(f"{address}/gradio_api/queue/data?session_hash=program") as events:
        return events.read().decode()


def until(happened: Callable[[], bool]) -> None:
    """Wait for what another thread does."""
    stop = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < stop
        time.sleep(0.02)


def open_browser(language: str, width: int = 1280, height: int = 1400) -> webdriver.Chrome:
    options = webdriver.ChromeOptions()
    options.binary_location = str(shutil.which("chromium"))
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-dev-shm-usage",
        "--disable-gpu",
        "--hide-scrollbars",
        f"--lang={language}",
        f"--accept-lang={language}",
        f"--window-size={width},{height}",
    ):
        options.add_argument(argument)
    options.add_experimental_option("prefs", {"intl.accept_languages": language})
    service = webdriver.ChromeService(executable_path=shutil.which("chromedriver"))
    return webdriver.Chrome(options=options, service=service)


class Page:
    """What a person does on the page."""

    def __init__(self, browser: webdriver.Chrome, address: str) -> None:
        self.browser = browser
        browser.get(address)

    def until(self, condition: Callable[[], Any]) -> Any:
        return WebDriverWait(self.browser, PATIENCE, 0.2).until(lambda _: condition())

    def find(self, selector: str) -> Any:
        return self.until(lambda: next(iter(self.browser.find_elements(By.CSS_SELECTOR, selector)), None))

    def text(self, selector: str) -> str:
        return str(
            self.browser.execute_script("return document.querySelector(arguments[0])?.innerText", selector)
        )

    def shown_texts(self) -> list[str]:
        """Every text that a person sees, in the order of the page."""
        return list(self.browser.execute_script(_SHOWN_TEXTS))

    def value(self, name: str) -> str:
        script = "const e = document.querySelector(arguments[0]); return e ? e.value : ''"
        return str(self.browser.execute_script(script, f"#{name} textarea, #{name} input"))

    def type(self, name: str, text: str, end: str = "") -> None:
        field = self.find(f"#{name} textarea, #{name} input")
        script = (
            "const [e, text] = arguments; const kind = e.tagName === 'TEXTAREA' ? HTMLTextAreaElement :"
            " HTMLInputElement; Object.getOwnPropertyDescriptor(kind.prototype, 'value').set.call(e, text);"
            " e.dispatchEvent(new Event('input', {bubbles: true}));"
            " e.dispatchEvent(new Event('change', {bubbles: true}))"
        )
        self.browser.execute_script(script, field, text)
        if end:
            field.send_keys(end)

    def click(self, selector: str) -> None:
        element = self.find(selector)
        self.browser.execute_script(
            "arguments[0].scrollIntoView({block: 'center'}); arguments[0].click()", element
        )

    def press(self, selector: str) -> None:
        """Click with the mouse itself."""
        element = self.until(lambda: next(iter(self._shown(selector)), None))
        self.browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
        element.click()

    def can_press(self, name: str) -> bool:
        return bool(
            self.browser.execute_script(f"return document.querySelector('#{name}')?.disabled === false")
        )

    def _shown(self, selector: str) -> list[Any]:
        found = self.browser.find_elements(By.CSS_SELECTOR, selector)
        return [element for element in found if element.is_displayed() and element.size["height"]]

    def open(self, name: str) -> None:
        """Open an accordion."""
        self.click(f"#{name} button")

    def tab(self, number: int) -> None:
        self.click(f"button[role=tab]:nth-of-type({number})")

    def upload(self, name: str, path: Any) -> None:
        self.find(f"#{name} input[type=file]").send_keys(str(path))

    def wait_status(self, part: str, name: str = "status") -> str:
        self.until(lambda: part in self.value(name))
        return self.value(name)

    def sound(self, name: str) -> bytes:
        """What the player of that name plays."""
        source = self.until(lambda: self.browser.execute_script(_SOURCE, name))
        return bytes(self.browser.execute_async_script(_FETCH, source))

    def wait_sound(self, name: str, seconds: float) -> None:
        """Wait until the player of that name plays as long a sound; the page shows it after the status."""
        self.until(lambda: soundfile.info(io.BytesIO(self.sound(name))).duration == seconds)

    def shot(self, path: Any) -> None:
        self.browser.save_screenshot(str(path))


_SHOWN_TEXTS = """
return [...document.querySelectorAll('body *')]
    .filter(one => !one.children.length && one.checkVisibility({opacityProperty: true}))
    .map(one => one.textContent.trim()).filter(Boolean);
"""
_SOURCE = """
const box = document.getElementById(arguments[0]);
const link = box.querySelector('a[download]'), player = box.querySelector('audio');
return (link && link.href) || (player && player.src) || null;
"""
_FETCH = """
const done = arguments[arguments.length - 1];
fetch(arguments[0]).then(r => r.arrayBuffer()).then(b => done(Array.from(new Uint8Array(b))));
"""
