"""Tiny notebooks for the tests of this room, and a cluster on loopback."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from sweeping import Loopback

# It writes down that it began; it fails, or waits, where a file is missing.
BODY = """
import pathlib, time
here = pathlib.Path(place)
with open(here / "begun", "a") as file:
    file.write(f"{seed}\\n")
while seed in waits and not (here / "go").exists():
    time.sleep(0.05)
if seed in fails and not (here / "mended").exists():
    raise ValueError(f"no {seed}")
"""
PARAMETERS = """
seed: int = 0  # chooses
rate: float = 0.1  # of learning
place: str = ""  # a folder
waits: list = []  # seeds
fails: list = []  # seeds
"""


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """A notebook that writes into the folder of the test; its path."""
    notebook = nbformat.v4.new_notebook()
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook.metadata.language_info = {"name": "python"}
    parameters = PARAMETERS.replace('""', repr(str(tmp_path)))
    notebook.cells = [
        nbformat.v4.new_code_cell(parameters, metadata={"tags": ["parameters"]}),
        nbformat.v4.new_code_cell(BODY),
    ]
    nbformat.write(notebook, tmp_path / "tiny.ipynb")
    return tmp_path / "tiny.ipynb"


@pytest.fixture
def loopback() -> Iterator[Loopback]:
    """A scheduler without workers; all that a test starts of it ends with the test."""
    cluster = Loopback()
    try:
        process = cluster.start("scheduler", "--host", "127.0.0.1", "--port", "0", before="pass")
        assert process.stderr is not None
        for line in process.stderr:
            if b"tcp://" in line:
                cluster.address = "tcp://" + line.split(b"tcp://")[1].split()[0].decode()
                break
        yield cluster
    finally:
        for process in cluster.processes:
            process.kill()
            process.communicate()
