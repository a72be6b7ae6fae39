"""A real browser: Debian's Chromium without a window, driven by Playwright."""

from pathlib import Path

import pytest

CHROMIUM = Path("/usr/bin/chromium")
DESKTOP = {"width": 1280, "height": 800}
PATIENCE_MS = 30_000  # for one step, on a busy machine

# `--no-sandbox`: the sandbox refuses root, and continuous integration is root. The others keep the
# browser from calling its vendor.
_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
# Chromium writes each 4xx or 5xx answer to the console as an error. Tests check answers themselves.
_ANSWERED = "Failed to load resource: the server responded with a status of"


@pytest.fixture(scope="module")
def browser():
    """Start Chromium with a profile of its own, which is deleted afterwards.

    A module's fixture, because asyncio cannot be used in a thread where Playwright runs.
    """
    if not CHROMIUM.exists():
        pytest.skip(
            "Debian's package chromium is missing; scripts/test without arguments installs it"
        )
    from playwright.sync_api import sync_playwright  # here: the other tests need not wait for it

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=_FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def new_page(browser):
    """Returns a function that opens an empty page which shares no cookie with the others.

    It takes the options of Playwright's `new_context`, as `viewport`. The test fails if a script of
    a page raised an error, or if a page broke its Content-Security-Policy.
    """
    contexts, complaints = [], []

    def open_page(**options):
        context = browser.new_context(**{"viewport": DESKTOP, **options})
        context.set_default_timeout(PATIENCE_MS)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda message: complaints.extend(_complaint(message)))
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not complaints, complaints


@pytest.fixture
def page(new_page):
    """An empty page of a desktop's size."""
    return new_page()


def _complaint(message):
    if message.type == "error" and not message.text.startswith(_ANSWERED):
        yield message.text
