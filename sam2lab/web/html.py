"""The HTML of the page, with the policy that keeps it from anything but its own files.

As a folder, its scripts are files beside it. As a single file that is opened from disk, it carries
them, because a browser loads no module from a disk.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sam2lab.web.joining import joined

FOLDER = Path(__file__).parent

# Where the worker is in the folder.
WORKER = "worker.js"

# For both: no form, no frame, no other base address, and pictures only of what is in memory.
_ALWAYS = "default-src 'none'; base-uri 'none'; form-action 'none'; img-src blob: data:"
_SERVED = (
    "script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; worker-src 'self'; connect-src 'self'"
)
# The worker comes from a data: address and inherits all this; nothing can be fetched at all.
_CARRIED = "script-src '{script}' 'wasm-unsafe-eval'; style-src '{style}'; worker-src data:"


def scripts() -> dict[str, str]:
    """The texts of all scripts and styles of the folder, by their places."""
    found = [*FOLDER.glob("page/*.js"), *FOLDER.glob("model/*.js"), FOLDER / "page" / "page.css"]
    texts = {
        path.relative_to(FOLDER).as_posix(): path.read_text(encoding="utf-8")
        for path in sorted(found)
    }
    # In one piece: a worker cannot be told early which modules it will ask for.
    return texts | {WORKER: joined("model/worker.js")}


def beside_files(settings: Mapping[str, Any]) -> str:
    """The page whose files lie beside it."""
    # Else the browser would find each module only when it has read the one that imports it.
    early = [place for place in scripts() if place.startswith("page/") and place.endswith(".js")]
    links = [f'<link rel="modulepreload" href="{place}">' for place in early]
    return _filled(
        policy=f"{_ALWAYS}; {_SERVED}",
        style="\n".join(['<link rel="stylesheet" href="page/page.css">', *links]),
        data=_settings(settings),
        script="\n".join(
            f'<script type="module" src="page/{name}.js"></script>' for name in ("engine", "main")
        ),
    )


def in_one_file(settings: Mapping[str, Any], files: Mapping[str, bytes]) -> str:
    """The page that carries all files, by the names that its scripts know them by."""
    style = (FOLDER / "page" / "page.css").read_text(encoding="utf-8")
    script = joined("page/main.js")
    carried = {**files, "worker": joined("model/worker.js").encode()}
    blocks = [
        f'<script type="text/plain" id="file-{name}">{base64.b64encode(content).decode()}</script>'
        for name, content in carried.items()
    ]
    hashes = _CARRIED.format(script=_sha256(script), style=_sha256(style))
    return _filled(
        policy=f"{_ALWAYS}; {hashes}",
        style=f"<style>{style}</style>",
        data="\n".join([_settings(settings), *blocks]),
        script=f'<script type="module">{script}</script>',
    )


def _filled(policy: str, **parts: str) -> str:
    text = (FOLDER / "page" / "index.html").read_text(encoding="utf-8")
    parts["policy"] = f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
    for name, part in parts.items():
        before, after = text.split(f"<!-- {name} -->")
        text = before + part + after
    return text


def _settings(settings: Mapping[str, Any]) -> str:
    # Within a script element, only this could be taken for its end.
    text = json.dumps(settings, ensure_ascii=False).replace("<", "\\u003c")
    return f'<script type="application/json" id="settings">{text}</script>'


def _sha256(text: str) -> str:
    """What a policy calls a script or style by."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
