"""Figures carry a description into the notebook, and the helpers draw what they were given."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from typing import Any

import matplotlib
import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient

from tlutils import plots

matplotlib.use("Agg")

ALT = 'Two "lines" rise & meet; <none> falls.'
CELL = f"""
from tlutils import plots
figure, axis = plots.subplots()
axis.plot([0, 1], [0, 1])
plots.show(figure, alt={ALT!r})
"""


@pytest.fixture(scope="module")
def outputs() -> list[Any]:
    """What a real kernel sends for a figure."""
    notebook = nbformat.v4.new_notebook()
    notebook.cells = [nbformat.v4.new_code_cell(CELL)]
    NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    return list(notebook.cells[0].outputs)


@pytest.fixture(autouse=True)
def no_figure_is_left_open() -> Iterator[None]:
    import matplotlib.pyplot as plt

    yield
    plt.close("all")


def test_a_figure_is_displayed_once_as_a_picture(outputs: list[Any]) -> None:
    from PIL import Image

    (output,) = outputs
    assert output.output_type == "display_data"
    with Image.open(io.BytesIO(base64.b64decode(output.data["image/png"]))) as picture:
        assert picture.width > 400


def test_the_description_is_where_nbconvert_looks_for_it(outputs: list[Any]) -> None:
    assert outputs[0].metadata["image/png"]["alt"] == ALT


def test_the_web_page_carries_the_description(outputs: list[Any]) -> None:
    """Of nbconvert's own templates, classic is the one that prints it."""
    from html.parser import HTMLParser

    from nbconvert import HTMLExporter

    found = []

    class Pictures(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            if tag == "img":
                found.append(dict(attrs).get("alt"))

    notebook = nbformat.v4.new_notebook()
    notebook.cells = [nbformat.v4.new_code_cell(CELL, outputs=outputs)]
    Pictures().feed(HTMLExporter(template_name="classic").from_notebook_node(notebook)[0])
    assert found == [ALT]


@pytest.mark.parametrize("alt", ["", "  \n"])
def test_a_figure_without_a_description_is_refused(alt: str) -> None:
    figure, _ = plots.subplots()
    with pytest.raises(ValueError, match="description"):
        plots.show(figure, alt=alt)


def test_a_shown_figure_is_closed(capsys: pytest.CaptureFixture[str]) -> None:
    import matplotlib.pyplot as plt

    figure, _ = plots.subplots()
    plots.show(figure, alt="Nothing.")
    assert plt.get_fignums() == []


@pytest.mark.parametrize(("rows", "columns", "shape"), [(1, 3, (3,)), (2, 1, (2,)), (2, 3, (2, 3))])
def test_several_axes_come_as_an_array(rows: int, columns: int, shape: tuple[int, ...]) -> None:
    _, axes = plots.subplots(rows, columns)
    assert np.shape(axes) == shape


def test_a_single_axis_comes_alone() -> None:
    from matplotlib.axes import Axes

    _, axis = plots.subplots()
    assert isinstance(axis, Axes)


def test_pictures_are_laid_out_in_order_with_their_titles_and_colours() -> None:
    images = np.arange(3, dtype=np.uint8)[:, None, None, None] * np.ones((1, 4, 4, 3), dtype=np.uint8)
    figure = plots.pictures(images, ["a", "b", "c"], columns=2, colours=["red", "green", "blue"])
    filled = [axis for axis in figure.axes if axis.images]
    assert len(figure.axes) == 4
    assert [axis.get_title() for axis in filled] == ["a", "b", "c"]
    assert [axis.title.get_color() for axis in filled] == ["red", "green", "blue"]
    for axis, image in zip(filled, images, strict=True):
        np.testing.assert_array_equal(np.asarray(axis.images[0].get_array()), image)
    assert not any(axis.axison for axis in figure.axes)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_any_number_of_pictures_without_titles_can_be_shown(count: int) -> None:
    figure = plots.pictures(np.zeros((count, 4, 4, 3), dtype=np.uint8), columns=5)
    assert sum(len(axis.images) for axis in figure.axes) == count


def test_titles_may_be_an_array() -> None:
    figure = plots.pictures(np.zeros((2, 4, 4, 3), dtype=np.uint8), np.array(["a", "b"]), columns=2)
    assert [axis.get_title() for axis in figure.axes] == ["a", "b"]


def test_a_band_shows_mean_range_and_label() -> None:
    _, axis = plots.subplots()
    plots.band(axis, [5, 10], np.array([[0.0, 0.4], [0.2, 0.8], [0.4, 0.9]]), "scratch", "#D55E00")
    (line,) = axis.lines
    np.testing.assert_allclose(np.asarray(line.get_xydata()), [[5, 0.2], [10, 0.7]])
    edge = axis.collections[0].get_paths()[0].vertices
    assert {tuple(np.round(point, 6)) for point in edge} == {(5, 0.0), (5, 0.4), (10, 0.4), (10, 0.9)}
    (label,) = axis.texts
    assert label.get_text().strip() == "scratch"
    assert label.xy == (10, pytest.approx(0.7))


def test_a_row_per_method_shows_every_seed_and_the_mean():
    figure = plots.by_seed({"ours": [0.5, 0.7], "theirs": [0.2, 0.2]}, ["black", "blue"], "accuracy", 0.25)
    [axis] = figure.axes
    assert [label.get_text() for label in axis.get_yticklabels()] == ["ours", "theirs"]
    assert [line.get_xdata()[0] for line in axis.lines if line.get_marker() == "|"] == pytest.approx([0.6, 0.2])
    assert sorted(axis.lines[0].get_xdata()) == [0.5, 0.7]
    assert [text.get_text() for text in axis.texts] == ["0.60", "0.20"]


def test_a_confusion_matrix_shows_its_counts_true_classes_downwards():
    figure = plots.confusion(np.array([[3, 1], [0, 2]]), ["cat", "dog"])
    [axis] = figure.axes
    found = {(int(text.get_position()[1]), int(text.get_position()[0])): text.get_text() for text in axis.texts}
    assert found == {(0, 0): "3", (0, 1): "1", (1, 0): "0", (1, 1): "2"}
    assert axis.get_ylabel() == "true class"


def test_a_heat_map_brightens_a_picture_where_it_is_hot():
    maps = np.zeros((1, 2, 2), dtype=np.float32)
    maps[0, 0, 1] = 1
    laid = plots.overlaid(np.full((1, 2, 2, 3), 100, dtype=np.uint8), maps)
    assert laid.shape == (1, 2, 2, 3) and laid.dtype == np.uint8
    assert laid.sum(axis=-1)[0].argmax() == 1
