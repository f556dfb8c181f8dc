"""Tests of the promise that the course installs: where README says, and as a package without its repository."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from uv import find_uv_bin

ROOT = Path(__file__).resolve().parent.parent

PROMISED_PYTHONS = ("3.11.2", "3.12", "3.13")
PROMISED_PLATFORMS = (
    "x86_64-unknown-linux-gnu",
    "aarch64-unknown-linux-gnu",
    "aarch64-apple-darwin",
    "x86_64-pc-windows-msvc",
)
# What pip freeze leaves out, and so constraints.txt too.
UNPINNED = {"setuptools", "wheel"}


def _resolve(*arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
    """Let uv choose versions from the metadata of the package index; nothing is installed."""
    command = [find_uv_bin(), "pip", "compile", *arguments, "--only-binary=:all:", "--no-config"]
    command += ["--no-header", "--no-annotate", "--quiet"]
    # The oldest macOS that README promises, and no long wait without a network.
    changes = {"MACOSX_DEPLOYMENT_TARGET": "12.0", "UV_HTTP_TIMEOUT": "10", "UV_HTTP_RETRIES": "1"}
    return subprocess.run(
        command, cwd=ROOT, env=os.environ | changes, input=given, capture_output=True, text=True, timeout=300
    )


def _resolve_pins(machine: tuple[str, str]) -> subprocess.CompletedProcess[str]:
    python, platform = machine
    versions = ("--constraints=constraints.txt", f"--python-version={python}", f"--python-platform={platform}")
    return _resolve("pyproject.toml", "--extra=test", "--extra=deploy", "--extra=jax", *versions)


@pytest.mark.network
def test_the_pinned_versions_install_where_readme_says() -> None:
    reached = _resolve("-", given="pip")
    if reached.returncode != 0:
        pytest.skip(f"the package index cannot be reached: {reached.stderr.strip()[-300:]}")
    machines = list(itertools.product(PROMISED_PYTHONS, PROMISED_PLATFORMS))
    # Most of the time goes to waiting for the index.
    with ThreadPoolExecutor(len(PROMISED_PLATFORMS)) as pool:
        outcomes = dict(zip(machines, pool.map(_resolve_pins, machines), strict=True))
    assert {machine: outcome.stderr for machine, outcome in outcomes.items() if outcome.returncode != 0} == {}
    pinned = _names((ROOT / "constraints.txt").read_text(encoding="utf-8"))
    assert _names(outcomes["3.11.2", "x86_64-unknown-linux-gnu"].stdout) - pinned == UNPINNED


@pytest.mark.network
def test_the_extra_for_a_gpu_brings_cuda_on_linux_alone() -> None:
    if _resolve("-", given="pip").returncode != 0:
        pytest.skip("the package index cannot be reached")
    with_cuda = []
    for platform in PROMISED_PLATFORMS:
        versions = ("--constraints=constraints.txt", "--python-version=3.12", f"--python-platform={platform}")
        outcome = _resolve("pyproject.toml", "--extra=gpu", *versions)
        assert outcome.returncode == 0, outcome.stderr
        if "nvidia-cudnn-cu12" in _names(outcome.stdout):
            with_cuda.append(platform)
    assert with_cuda == ["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"]


def _names(pins: str) -> set[str]:
    return {re.sub("[-_.]+", "-", name).lower() for name in re.findall(r"^([\w.-]+)==", pins, flags=re.MULTILINE)}


def test_pip_refuses_other_pythons_than_the_promised_ones() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["requires-python"] == ">=3.11.2,<3.14"


@pytest.mark.skipif(shutil.which("make") is None, reason="there is no make here")
@pytest.mark.parametrize(
    ("version", "system", "machine", "refusal"),
    [
        ((3, 11, 1), "linux", "x86_64", "needs Python 3.11.2 to 3.13, this is 3.11.1"),
        ((3, 14, 0), "linux", "x86_64", "needs Python 3.11.2 to 3.13, this is 3.14.0"),
        ((3, 12, 4), "darwin", "x86_64", "no build for Python on Intel Macs"),
        ((3, 11, 2), "linux", "x86_64", ""),
        ((3, 13, 9), "linux", "aarch64", ""),
        ((3, 12, 4), "darwin", "arm64", ""),
    ],
)
def test_make_refuses_a_machine_that_cannot_run_the_course_before_anything_is_downloaded(
    tmp_path: Path, version: tuple[int, int, int], system: str, machine: str, refusal: str
) -> None:
    pretence = (
        f"import platform, sys; sys.version_info = {version}; sys.platform = {system!r}; "
        f"platform.machine = lambda: {machine!r}; 'version_info' in sys.argv[-1] and exec(sys.argv[-1]); "
        "sys.argv[1] == '-m' and print('went on')"
    )
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" -c "{pretence}" "$@"\n')
    python.chmod(0o755)
    # `make test` hands its own flags on, and a make inside a make announces its folder.
    environment = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL")}
    outcome = subprocess.run(
        ["make", "-f", ROOT / "Makefile", ".venv/pyvenv.cfg", f"PYTHON={python}"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    if refusal:
        assert outcome.returncode != 0 and refusal in outcome.stderr
        assert "make PYTHON=" in outcome.stderr
        assert "went on" not in outcome.stdout
    else:
        assert outcome.returncode == 0 and outcome.stdout.endswith("went on\n"), outcome.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from a copy, so that no earlier build lends it files."""
    work = tmp_path_factory.mktemp("wheel")
    for folder in ("tlutils", "data"):
        shutil.copytree(ROOT / folder, work / "source" / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, work / "source")
    _pip("wheel", "--no-build-isolation", "--wheel-dir", work, work / "source")
    return next(work.glob("tlutils-*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("installed")
    _pip("install", "--target", folder, wheel)
    return folder


def _pip(*arguments: str | Path) -> None:
    command = [sys.executable, "-P", "-m", "pip", *arguments, "--no-deps", "--no-index", "--disable-pip-version-check"]
    outcome = subprocess.run(command, capture_output=True, text=True)
    assert outcome.returncode == 0, outcome.stderr


def _away_from_the_repository(installed: Path, *arguments: str | Path) -> str:
    """Run Python where the package is the installed one and everything else comes from this environment."""
    environment = os.environ | {"PYTHONPATH": str(installed)}
    outcome = subprocess.run(
        [sys.executable, "-P", *arguments], cwd=installed, env=environment, capture_output=True, text=True
    )
    assert outcome.returncode == 0, outcome.stderr
    return outcome.stdout


def test_the_wheel_holds_every_room_and_every_file_of_data(wheel: Path) -> None:
    files = [path for suffix in ("py", "toml") for path in (ROOT / "tlutils").rglob(f"*.{suffix}")]
    expected = {path.relative_to(ROOT).as_posix() for path in files}
    expected |= {f"tlutils/data/{path.name}" for path in (ROOT / "data").iterdir()}
    with zipfile.ZipFile(wheel) as archive:
        assert expected - set(archive.namelist()) == set()


def test_the_installed_package_loads_weights_and_reviews_without_the_repository(installed: Path) -> None:
    script = """
import tlutils
from tlutils import datasets
from tlutils.models import backbones
print(tlutils.__file__, len(datasets.reviews()), backbones.load("vgg16_mini").model.count_params() > 0, sep="\\n")
"""
    place, reviews, loaded = _away_from_the_repository(installed, "-c", script).splitlines()
    assert Path(place).is_relative_to(installed)
    assert (int(reviews), loaded) == (552, "True")


def test_the_installed_command_says_its_version(installed: Path) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    output = _away_from_the_repository(installed, next((installed / "bin").glob("tlutils*")), "--version")
    assert output.strip().endswith(project["version"])
