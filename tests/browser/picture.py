"""Takes the README's picture of the page, while ``make run`` serves: ``python -m tests.browser.picture [URL]``."""

import io
import sys
import tempfile
from pathlib import Path

from PIL import Image

from tests.browser.conftest import chromium
from tests.browser.playground import Playground

PICTURE = Path(__file__).parent / "page.png"
WIDTH, TALL, MARGIN = 1280, 2000, 50


def take(url: str) -> None:
    driver = chromium(Path(tempfile.mkdtemp()))
    try:
        page = Playground(driver, url)
        page.open(model="wine_model")
        page.prefer("light")
        page.send()
        page.choose("russian_translation_model")
        page.send()
        page.send()
        page.choose("entity_match_model")
        page.send()
        page.code("Python")
        page.script("document.activeElement.blur()")
        page.resize(WIDTH, TALL)
        bottom = page.script("return document.querySelector('#visit').getBoundingClientRect().bottom")
        page.resize(WIDTH, int(bottom) + MARGIN)
        # 256 colours are more than the page has, but for the edges of its letters.
        Image.open(io.BytesIO(driver.get_screenshot_as_png())).convert("RGB").quantize(256).save(PICTURE, optimize=True)
    finally:
        driver.quit()


if __name__ == "__main__":
    take(sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8080")
