"""An executed notebook, for the tests of this room."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat

from tlutils import course


def stamped(path: Path, record: dict[str, Any]) -> Path:
    """Write an executed notebook that ends with a record."""
    notebook = nbformat.v4.new_notebook()
    output = nbformat.v4.new_output("display_data", data={course.MIME: record, "text/plain": "record"})
    notebook.cells = [nbformat.v4.new_code_cell("record()", outputs=[output], execution_count=1)]
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, path)
    return path
