"""Whether the course can run on this machine, and if not, what to do next."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

# Ends with one line on standard error for what the reader can put right.
_START_KERAS = """
from tlutils import settings
try:
    settings.start_keras()
except settings.UserError as error:
    sys.exit(" ".join(str(error).split()))
import keras
print(keras.backend.backend())
"""


def examine() -> tuple[list[tuple[str, str]], list[str]]:
    """Look at everything that the course needs from the machine.

    Returns
    -------
    facts : list of (str, str)
        Name and finding, in the order to print them.
    problems : list of str
        What keeps the course from running, each with the next step; empty if nothing does.
    """
    from importlib import metadata

    import psutil

    from tlutils import runs, settings, store

    facts = [("tlutils", metadata.version("tlutils")), ("python", platform.python_version())]
    problems = []
    if not (3, 11, 2) <= sys.version_info[:3] < (3, 14):
        problems.append("This Python is outside 3.11.2 to 3.13; make an environment with one of these.")
    for package in ("keras", "tensorflow", "ai-edge-litert", "numpy", "papermill", "jupyterlab"):
        try:
            facts.append((package, metadata.version(package)))
        except metadata.PackageNotFoundError:
            facts.append((package, "not installed"))
            problems.append(f"The package {package} is not installed. Install the environment again.")

    # In another process: a TensorFlow built for other processors ends the process that imports it.
    program = f"import sys; sys.path.append({str(settings.ROOT)!r})\n{_START_KERAS}"
    loading = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, text=True, errors="replace")
    if loading.returncode == 0:
        facts.append(("keras backend", loading.stdout.split()[-1]))
    else:
        facts.append(("keras backend", "cannot be loaded"))
        last = (loading.stderr.strip() or "no message").splitlines()[-1]
        unexpected = f"Keras does not start ({last}; exit code {loading.returncode}). Install the environment again."
        problems.append(last if loading.returncode == 1 and "Traceback" not in loading.stderr else unexpected)
    hiding = _hiding_modules()
    if hiding:
        said = f"{', '.join(hiding)}; rename before a notebook is opened in this folder (`tlutils run` is not affected)"
        facts.append(("files that hide packages", said))

    memory = psutil.virtual_memory()
    facts.append(("processor cores", f"{os.cpu_count()}, notebooks at a time: {runs.default_jobs()}"))
    facts.append(("memory", f"{memory.total / 1e9:.1f} GB, {memory.available / 1e9:.1f} GB free"))
    if memory.available < 2e9:
        problems.append("Less than 2 GB of memory are free; close other programs.")

    try:
        cache = settings.cache_dir()
    except settings.UserError as error:
        facts.append(("cache folder", "not writable"))
        problems.append(str(error))
    else:
        free = shutil.disk_usage(cache).free
        facts.append(("cache folder", f"{_from_home(cache)}, writable, {free / 1e9:.1f} GB free"))
        if free < 1e9:
            problems.append(f"Less than 1 GB is free at {cache}; make room or set TLUTILS_CACHE to a folder with more.")
        lacking = [name for name in store.QUICK if not store.present(name)]
        said = f"{', '.join(lacking)}; comes when first used, or now: tlutils fetch {' '.join(lacking)}"
        facts.append(("still to be fetched", said if lacking else "nothing; the quick profile runs offline"))
    facts.append(("mirror", os.environ.get("TLUTILS_MIRROR") or "none (TLUTILS_MIRROR is not set)"))

    listing = settings.DATA / "checksums.json"
    own = [listing.name, *(json.loads(listing.read_text(encoding="utf-8")) if listing.is_file() else ())]
    gone = [name for name in own if not (settings.DATA / name).is_file()]
    facts.append(("files of the course", f"missing: {', '.join(gone)}" if gone else "present"))
    if gone:
        problems.append(f"{_from_home(settings.DATA)} lacks {', '.join(gone)}; install or check the course out again.")
    return facts, problems


def _hiding_modules() -> list[str]:
    """Return the files of the working folder that a notebook opened there would import in place of a package."""
    from importlib import metadata

    try:
        found = sorted(path.name for path in Path.cwd().glob("*.py"))
    except OSError:
        return []
    packages = set(metadata.packages_distributions())
    return [name for name in found if name.removesuffix(".py") in packages]


def _from_home(path: Path) -> str:
    home = os.path.expanduser("~")
    return f"~/{path.relative_to(home).as_posix()}" if path.is_relative_to(home) else str(path)
