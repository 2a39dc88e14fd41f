"""The set-up: pip's, conda's and make's lists agree, and make installs what they say."""

from __future__ import annotations

import os
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

# Its wheels want glibc 2.35, which is not everywhere: .ci/run asks make for it.
BY_HAND = ("qnn",)
CONDA_NAMES = {"pytorch": "torch", "playwright-python": "playwright"}


@pytest.fixture(scope="module")
def project(repository: Path) -> dict:
    return tomllib.loads((repository / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def wanted(project: dict) -> dict[str, Requirement]:
    """Every direct dependency, core and extras, by name."""
    return _by_name(project["dependencies"], *project["optional-dependencies"].values())


@pytest.fixture(scope="module")
def pins(repository: Path) -> dict[str, Requirement]:
    lines = (repository / ".ci" / "constraints.txt").read_text().splitlines()
    return _by_name(line for line in lines if not line.startswith("#"))


def _by_name(*lists) -> dict[str, Requirement]:
    requirements = [Requirement(line) for lines in lists for line in lines]
    named = {canonicalize_name(requirement.name): requirement for requirement in requirements}
    assert len(named) == len(requirements), "a name is listed twice"
    return named


@pytest.fixture(scope="module")
def environment(repository: Path) -> dict[str, Requirement]:
    """The packages that environment.yml lists, by pip's names."""
    listed = yaml.safe_load((repository / "environment.yml").read_text())["dependencies"]
    by_pip = next(entry for entry in listed if isinstance(entry, dict))["pip"]
    assert by_pip[-1] == "-e .", "the package itself comes last"
    by_conda = _by_name(entry for entry in listed if isinstance(entry, str))
    assert by_conda.pop("pip")
    return {CONDA_NAMES.get(n, n): r for n, r in (by_conda | _by_name(by_pip[:-1])).items()}


class TestConda:
    @pytest.fixture
    def listed(self, wanted, project) -> dict[str, Requirement]:
        """What is wanted without asking."""
        lines = (line for extra in BY_HAND for line in project["optional-dependencies"][extra])
        return {name: wanted[name] for name in set(wanted) - set(_by_name(lines))}

    def test_lists_what_pip_lists(self, environment, listed) -> None:
        assert set(environment) - {"python"} == set(listed)

    def test_sets_the_bounds_that_pip_sets(self, environment, listed) -> None:
        assert {n: r.specifier for n, r in listed.items()} == {
            n: environment[n].specifier for n in listed
        }

    def test_wants_the_same_python(self, environment, project) -> None:
        assert str(environment["python"].specifier) == project["requires-python"]


class TestPins:
    def test_every_pin_is_exact(self, pins) -> None:
        operators = {(s.operator, "*" in s.version) for r in pins.values() for s in r.specifier}
        assert operators == {("==", False)}

    def test_every_dependency_is_pinned_within_its_bounds(self, pins, wanted) -> None:
        for name, requirement in wanted.items():
            assert requirement.specifier.contains(_version(pins[name])), name

    def test_no_pin_names_a_build(self, pins) -> None:
        """A build such as +cpu exists on one index only."""
        assert [name for name, pin in pins.items() if "+" in str(pin.specifier)] == []


def _version(pin: Requirement) -> str:
    (only,) = pin.specifier
    return only.version


STUB = """#!/bin/sh
case "$*" in
  "-m pip --version") ;;
  "-c "*torch*) [ -n "$STUB_TORCH" ] && echo "$STUB_TORCH" ;;
  *) echo "$(basename "$0") $*" >> "$STUB_LOG"; exit "${STUB_EXIT:-0}" ;;
esac
"""


@pytest.mark.skipif(os.name == "nt" or not shutil.which("make"), reason="needs make and sh")
class TestMake:
    """The Makefile on an environment whose python and jupyter only write down their calls."""

    @pytest.fixture
    def make(self, repository: Path, tmp_path: Path):
        environment = tmp_path / "env"
        (environment / "bin").mkdir(parents=True)
        for name in ("python", "jupyter"):
            stub = environment / "bin" / name
            stub.write_text(STUB)
            stub.chmod(0o755)
        log = tmp_path / "calls"

        def run(*arguments: str, **stub: str) -> tuple[int, list[str]]:
            log.write_text("")
            inherited = {
                k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS", "MORE"))
            }
            done = subprocess.run(
                ["make", "lab", f"VENV={environment}", *arguments],
                cwd=repository,
                env=inherited | {"STUB_LOG": str(log)} | stub,
                capture_output=True,
            )
            return done.returncode, log.read_text().splitlines()

        return run

    def test_installs_every_extra_with_the_pins(self, make, project) -> None:
        _, (install, *_) = make()
        extras = ",".join(e for e in project["optional-dependencies"] if e not in BY_HAND)
        assert install == f"python -m pip install -c .ci/constraints.txt -e .[{extras}]"

    def test_installs_further_extras_where_asked(self, make, repository) -> None:
        _, (install, *_) = make("MORE=,qnn")
        assert install.endswith(",test,qnn]")
        assert "make test docs MORE=,qnn" in (repository / ".ci" / "run").read_text()

    def test_opens_jupyterlab_in_notebooks_with_the_projects_configuration(self, make) -> None:
        _, (*_, lab) = make("ARGS=--no-browser --port=9999")
        assert lab.startswith("jupyter lab --config=sam2lab/jupyter/server_config.json ")
        assert lab.endswith(" --no-browser --port=9999 notebooks")

    def test_takes_samexporter_and_vos_benchmark_without_what_they_want(self, make) -> None:
        _, (_, install, _) = make()
        only = "python -m pip install --no-deps -c .ci/constraints.txt"
        assert install == f"{only} samexporter vos-benchmark"

    @pytest.mark.parametrize("build", ["", "+cpu", "+cu126"])
    def test_any_build_of_the_pinned_torch_will_do(self, make, pins, build: str) -> None:
        _, (install, *_) = make(STUB_TORCH=_version(pins["torch"]) + build)
        assert " -c .ci/constraints.txt " in install

    def test_another_torch_is_left_alone(self, make) -> None:
        _, (install, *_) = make(STUB_TORCH="2.6.0+cu124")
        assert " torch==2.6.0+cu124 " in install
        assert "constraints" not in install

    def test_a_second_run_installs_nothing(self, make) -> None:
        make()
        _, calls = make()
        assert [call.split()[0] for call in calls] == ["jupyter"]

    def test_a_failed_install_fails_and_is_taken_up_again(self, make) -> None:
        code, calls = make(STUB_EXIT="1")
        assert code != 0
        assert len(calls) == 1, "JupyterLab must not open"
        _, calls = make()
        assert [call.split()[0] for call in calls] == ["python", "python", "jupyter"]
