"""The front page as its visitor sees it: what can be done on it, what stands on it."""

import json
from collections.abc import Callable
from typing import Any

from selenium.webdriver import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webdriver import WebDriver
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import Select, WebDriverWait

#: Seconds; a cold function imports its framework meanwhile.
PATIENCE_S = 30


_HOLD_FETCH = """
    const fetch = window.fetch;
    const held = new Promise((resolve) => { window.release = resolve; });
    window.asked = 0;
    window.fetch = async (address, options) => {
        window.asked += 1;
        options.signal.addEventListener("abort", window.release);
        await held;
        return fetch(address, options);
    };
"""


class Playground:
    def __init__(self, driver: WebDriver, url: str) -> None:
        self.driver = driver
        self.url = url

    def open(self, path: str = "/", model: str | None = None) -> None:
        # Another page between: an address that differs in its hash alone would not load anew.
        self.driver.get("about:blank")
        self.driver.get(self.url + path + ("" if model is None else f"#model={model}"))
        self.wait(lambda: self.one("#send").is_displayed())

    def models(self) -> list[str]:
        return [link.text.splitlines()[0] for link in self.all("#models a:not([hidden])")]

    def open_with(self, script: str, shown: str) -> None:
        """Opens the page anew, after the script; waits until what the selector means is shown."""
        added = self.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": script})
        self.driver.refresh()
        self.driver.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", added)
        self.wait(lambda: self.one(shown).is_displayed())

    def resize(self, width: int, height: int = 844) -> None:
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        # The page hears of it a moment later, and folds its list of models, or unfolds it.
        self.wait(lambda: self.one("#choice").get_property("open") == (width > 768))

    def prefer(self, scheme: str) -> None:
        """The system's colours, ``light`` or ``dark``."""
        features = {"prefers-color-scheme": scheme, "prefers-reduced-motion": "reduce"}
        asked = {"features": [{"name": name, "value": value} for name, value in features.items()]}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", asked)

    def as_at_first(self) -> None:
        """Undoes what was said of the screen and the system, and forgets what the page remembers."""
        self.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
        self.driver.execute_cdp_cmd("Storage.clearDataForOrigin", {"origin": self.url, "storageTypes": "local_storage"})

    def ground(self) -> str:
        """The colour behind everything."""
        colour: str = self.script("return getComputedStyle(document.body).backgroundColor")
        return colour

    def press(self, key: str) -> None:
        ActionChains(self.driver).send_keys(key).perform()

    def focus(self) -> str:
        """What has the focus: its id, or the client that it chooses."""
        focus: str = self.script("return document.activeElement.id || document.activeElement.value")
        return focus

    def focus_is_seen(self) -> bool:
        """Whether what has the focus, or its label, is outlined."""
        seen: bool = self.script(
            """
            const one = document.activeElement;
            return [one, one.closest("label")].some((node) => node && getComputedStyle(node).outlineStyle !== "none");
            """
        )
        return seen

    def hold_requests(self) -> None:
        """Holds every request back until ``release_requests``, and counts them."""
        self.script(_HOLD_FETCH)

    def release_requests(self) -> None:
        self.script("window.release()")

    def choose(self, model: str) -> None:
        if not self.one("#models").is_displayed():
            self.one("#choice > summary").click()
        next(link for link in self.all("#models a") if link.text.startswith(f"{model}\n")).click()
        self.wait(lambda: self.text("#name") == model)

    def use_example(self, index: int) -> None:
        self.all("#examples button")[index].click()

    def fill(self, label: str, value: str) -> None:
        field = self.field(label)
        if field.tag_name == "select":
            Select(field).select_by_visible_text(value)
        else:
            field.send_keys(Keys.CONTROL, "a", Keys.NULL, value or Keys.DELETE)

    def write(self, label: str, value: str) -> None:
        """Fills in what would take long to type."""
        script = "arguments[0].value = arguments[1]; arguments[0].dispatchEvent(new Event('input', { bubbles: true }))"
        self.script(script, self.field(label), value)

    def field(self, label: str) -> WebElement:
        """The control that the label is bound to."""
        labels = [found for found in self.all("label") if found.text == label]
        return self.driver.execute_script("return arguments[0].control", labels[0])

    def value(self, label: str) -> str | None:
        value: str | None = self.field(label).get_property("value")
        return value

    def hint(self, label: str) -> str:
        """What describes the control that the label is bound to."""
        described = self.field(label).get_attribute("aria-describedby")
        assert described
        return self.text(f"#{described}")

    def show_parameters(self) -> None:
        self.one("#parameters summary").click()

    def send(self) -> None:
        """Sends and waits for the answer."""
        self.one("#send").click()
        self.wait_for_answer()

    def wait_for_answer(self) -> None:
        self.wait(lambda: self.one("#answer").get_attribute("aria-busy") == "false")

    def answer(self) -> Any:
        """The raw JSON of the answer."""
        return json.loads(self.content("#raw pre"))

    def code(self, client: str) -> str:
        """The call as code of the client."""
        self.driver.execute_script("arguments[0].click()", self.client(client))
        return self.content("#code")

    def clients(self) -> list[str]:
        """By whose means the call can be made."""
        return [label.text for label in self.all("#clients label")]

    def client(self, name: str) -> WebElement:
        return self.one(f'#clients input[value="{name}"]')

    def command(self) -> str:
        return self.code("curl")

    def calls(self) -> list[WebElement]:
        """Those of this visit, newest first."""
        return self.all("#calls button")

    def asked(self) -> dict[str, Any]:
        """The request that the shown command sends."""
        body = self.command().split(" -d '", 1)[1].removesuffix("'").replace("'\\''", "'")
        request: dict[str, Any] = json.loads(body)
        return request

    def console(self) -> list[dict[str, Any]]:
        """What the browser has logged since it was last asked."""
        entries: list[dict[str, Any]] = self.driver.get_log("browser")
        return entries

    def wait(self, condition: Callable[[], Any]) -> None:
        WebDriverWait(self.driver, PATIENCE_S, poll_frequency=0.02).until(lambda _: condition())

    def one(self, selector: str) -> WebElement:
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector: str) -> list[WebElement]:
        found: list[WebElement] = self.driver.find_elements(By.CSS_SELECTOR, selector)
        return found

    def text(self, selector: str) -> str:
        """What is to be seen of the first match."""
        text: str = self.one(selector).text
        return text

    def content(self, selector: str) -> str:
        """The whole text of the first match, hidden parts included."""
        content: str = self.one(selector).get_property("textContent")
        return content

    def parts(self, selector: str) -> list[list[str]]:
        """The texts of each match's children; of a marked entity among them, its words alone."""
        found: list[list[str]] = self.script(
            """
            const part = (node) => node.data ?? node.firstChild.data;
            return [...document.querySelectorAll(arguments[0])].map((one) => [...one.childNodes].map(part));
            """,
            selector,
        )
        return found

    def script(self, source: str, *arguments: Any) -> Any:
        return self.driver.execute_script(source, *arguments)
