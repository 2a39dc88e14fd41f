"""Drives a real Firefox by WebDriver BiDi, which it speaks itself: no further program is needed."""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

from websocket import create_connection

FIREFOX = next(filter(None, map(shutil.which, ("firefox-esr", "firefox"))), None)
PATIENCE_S = 120.0
# A fresh profile that asks nothing and calls nobody.
PREFERENCES = {
    "app.normandy.enabled": False,
    "app.update.enabled": False,
    "browser.aboutwelcome.enabled": False,
    "browser.shell.checkDefaultBrowser": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "toolkit.telemetry.reportingpolicy.firstRun": False,
}


class Firefox:
    """A headless Firefox with one window, which notes every request of its page."""

    def __init__(self, profile: Path) -> None:
        assert FIREFOX is not None
        lines = [f"user_pref({json.dumps(k)}, {json.dumps(v)});" for k, v in PREFERENCES.items()]
        profile.mkdir(parents=True, exist_ok=True)
        (profile / "user.js").write_text("\n".join(lines))
        self.requests: list[str] = []
        self._numbers = itertools.count(1)
        port_file = profile / "WebDriverBiDiServer.json"
        self._process = subprocess.Popen(
            [
                *(FIREFOX, "--headless", "--no-remote", "--profile", str(profile)),
                *("--width", "1280", "--height", "1000"),
                "--remote-debugging-port=0",
                "about:blank",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            self._socket = self._connect(port_file)
            self._ask("session.new", {"capabilities": {}})
            self._ask("session.subscribe", {"events": ["network.beforeRequestSent"]})
            tree = self._ask("browsingContext.getTree", {})
            self._window = tree["contexts"][0]["context"]
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the browser."""
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(20)

    def resize(self, width: int, height: int) -> None:
        """Give the page this many pixels."""
        viewport = {"width": width, "height": height}
        self._ask("browsingContext.setViewport", {"context": self._window, "viewport": viewport})

    def open(self, url: str) -> None:
        """Open an address, and wait until it is loaded."""
        self._ask(
            "browsingContext.navigate", {"context": self._window, "url": url, "wait": "complete"}
        )

    def evaluate(self, expression: str) -> Any:
        """The value of an expression in the page; a promise is waited for."""
        as_json = f"Promise.resolve({expression}).then(it => JSON.stringify(it ?? null))"
        target = {"context": self._window}
        answer = self._ask(
            "script.evaluate", {"expression": as_json, "target": target, "awaitPromise": True}
        )
        assert answer["type"] == "success", answer["exceptionDetails"]["text"]
        return json.loads(answer["result"]["value"])

    def mouse(self, places: list[tuple[float, float]], button: int = 0) -> None:
        """Press a button at the first place, move to the others, release it at the last."""
        moves = [{"type": "pointerMove", "x": round(x), "y": round(y)} for x, y in places]
        press, release = ({"type": f"pointer{way}", "button": button} for way in ("Down", "Up"))
        steps = [moves[0], press, *moves[1:], release]
        source = {"type": "pointer", "id": "mouse", "actions": steps}
        self._ask("input.performActions", {"context": self._window, "actions": [source]})

    def _connect(self, port_file: Path) -> Any:
        give_up = time.monotonic() + PATIENCE_S
        while time.monotonic() < give_up and self._process.poll() is None:
            try:
                told = json.loads(port_file.read_text())
            except (FileNotFoundError, json.JSONDecodeError):
                time.sleep(0.1)
                continue
            address = f"ws://{told['ws_host']}:{told['ws_port']}/session"
            return create_connection(address, timeout=PATIENCE_S, suppress_origin=True)
        raise RuntimeError("Firefox did not start")

    def _ask(self, method: str, params: dict[str, Any]) -> Any:
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            message = json.loads(self._socket.recv())
            if message.get("method") == "network.beforeRequestSent":
                self.requests.append(message["params"]["request"]["url"])
            if message.get("id") != number:
                continue
            if message["type"] == "error":
                raise RuntimeError(f"{method}: {message['error']}: {message['message']}")
            return message["result"]
