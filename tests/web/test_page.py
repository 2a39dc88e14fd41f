"""The page as files: what is written, what it may do, and what is refused."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
from pathlib import Path

import pytest

from sam2lab import settings
from sam2lab.cli import main
from sam2lab.runtime.bundle import BundleError
from sam2lab.web import write_page

NANO = settings.nano_folder()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page as a folder."""
    return write_page(NANO, tmp_path_factory.mktemp("page") / "site").parent


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page as one file."""
    return write_page(NANO, tmp_path_factory.mktemp("page") / "page.html", single_file=True)


@pytest.fixture
def changed(tmp_path: Path) -> Path:
    """A copy of nano that a test may spoil."""
    return shutil.copytree(NANO, tmp_path / "changed")


def policy(page: Path) -> dict[str, list[str]]:
    """What the page may do, by kind."""
    (content,) = re.findall(
        r'<meta http-equiv="Content-Security-Policy" content="([^"]+)">', page.read_text()
    )
    rules = [rule.split() for rule in content.split(";")]
    return {name: allowed for name, *allowed in rules}


def test_every_file_that_is_named_is_there(site: Path) -> None:
    text = (site / "index.html").read_text()
    named = re.findall(r'<(?:script|link)[^>]* (?:src|href)="([^"]+)"', text)
    (told,) = re.findall(r'id="settings">(.*?)</script>', text)
    named += list(json.loads(told)["files"].values())
    for script in [*site.glob("page/*.js"), *site.glob("model/*.js")]:
        for other in re.findall(r'from "(\.[^"]+)"', script.read_text()):
            named.append((script.parent / other).resolve().relative_to(site.resolve()).as_posix())
    files = [name for name in named if not name.startswith("data:")]
    assert len(files) > 20
    assert [name for name in files if not (site / name).is_file()] == []


def test_the_folder_is_small(site: Path) -> None:
    """At most 20 MB; licence and notices of the library lie beside it."""
    assert sum(file.stat().st_size for file in site.rglob("*") if file.is_file()) < 20e6
    assert "MIT License" in (site / "vendor" / "LICENSE.txt").read_text()
    assert (site / "vendor" / "ThirdPartyNotices.txt").stat().st_size > 100_000


def test_no_script_or_style_may_run_but_the_pages_own(site: Path, single: Path) -> None:
    served, carried = policy(site / "index.html"), policy(single)
    for allowed in (served, carried):
        assert allowed["default-src"] == ["'none'"]
        named = [value for values in allowed.values() for value in values]
        # A digest may hold two slashes, too.
        assert not [each for each in named if "//" in each and not each.startswith("'sha256-")]
        assert "'unsafe-inline'" not in allowed["script-src"] + allowed["style-src"]
        assert "'unsafe-eval'" not in allowed["script-src"]
    assert served["connect-src"] == ["'self'"]
    assert "connect-src" not in carried


def test_the_single_file_names_its_script_and_style_by_their_digests(single: Path) -> None:
    for tag in ('script type="module"', "style"):
        kind = tag.partition(" ")[0]
        (text,) = re.findall(f"<{tag}>(.*?)</{kind}>", single.read_text(), re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert policy(single)[f"{kind}-src"][0] == f"'sha256-{digest}'"


def test_a_slow_model_is_refused_unless_it_is_wanted(changed: Path, tmp_path: Path) -> None:
    told = json.loads((changed / "bundle.json").read_text())
    told["model"] |= {"size": "tiny", "name": "tiny"}
    (changed / "bundle.json").write_text(json.dumps(told))
    with pytest.raises(ValueError, match="about 20 s for each photo"):
        write_page(changed, tmp_path / "site")
    assert not (tmp_path / "site").exists()
    write_page(changed, tmp_path / "page.html", single_file=True, slow=True)


def test_a_model_that_was_changed_is_refused(changed: Path, tmp_path: Path) -> None:
    content = bytearray((changed / "decoder.onnx").read_bytes())
    content[1000] ^= 1
    (changed / "decoder.onnx").write_bytes(content)
    with pytest.raises(BundleError, match="was changed after it was sealed"):
        write_page(changed, tmp_path / "site")


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(ValueError, match="is not empty"):
        write_page(NANO, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_the_command_writes_it_and_says_where(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["page", "--single-file", "--out", str(tmp_path / "site")]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'site' / 'index.html'}\n"
    assert main(["page", str(tmp_path / "nothing"), "--out", str(tmp_path / "other")]) == 1
    assert main(["page", "--out", str(tmp_path / "site")]) == 2
    assert "not empty" in capsys.readouterr().err
