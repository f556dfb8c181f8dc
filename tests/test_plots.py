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
from matplotlib.text import Text
from nbclient import NotebookClient

from tlutils import plots
from tlutils.evaluation import calibration
from tlutils.tuning import learning_rates

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


@pytest.fixture
def regular_only(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Characters that are missing come from a font without bold ones, which matplotlib brings."""
    plots._more_fonts.cache_clear()
    plots._fonts.cache_clear()
    monkeypatch.setattr(plots, "_MORE_FONTS", ("STIXSizeOneSym",))
    yield
    plots._more_fonts.cache_clear()
    plots._fonts.cache_clear()


def test_a_font_that_only_lends_characters_is_not_complained_of(
    regular_only: None, caplog: pytest.LogCaptureFixture
) -> None:
    figure, axis = plots.subplots()
    text = axis.text(0, 0, "the cut", weight="bold", family=matplotlib.rcParams["font.family"])
    assert "STIXSizeOneSym" in text.get_fontfamily()
    figure.canvas.draw()
    assert [record.getMessage() for record in caplog.records] == []


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


def test_pictures_are_laid_out_in_order_with_their_titles() -> None:
    images = np.arange(3, dtype=np.uint8)[:, None, None, None] * np.ones((1, 4, 4, 3), dtype=np.uint8)
    figure = plots.pictures(images, ["a", "b", "c"], columns=2)
    filled = [axis for axis in figure.axes if axis.images]
    assert len(figure.axes) == 4
    assert [axis.get_title() for axis in filled] == ["a", "b", "c"]
    for axis, image in zip(filled, images, strict=True):
        np.testing.assert_array_equal(np.asarray(axis.images[0].get_array()), image)
    assert not any(axis.axison for axis in figure.axes)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_any_number_of_pictures_without_titles_can_be_shown(count: int) -> None:
    figure = plots.pictures(np.zeros((count, 4, 4, 3), dtype=np.uint8), columns=5)
    assert sum(len(axis.images) for axis in figure.axes) == count


def test_maps_without_colours_and_pictures_of_other_sizes_are_shown_together() -> None:
    figure = plots.pictures([np.zeros((4, 4, 3), dtype=np.uint8), np.array([[0.0, 2.0]])], columns=2)
    shown = figure.axes[1].images[0]
    assert shown.get_clim() == (0, 2)
    np.testing.assert_array_equal(np.asarray(shown.get_array()), [[0, 2]])


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


def test_the_label_of_a_band_can_be_moved_out_of_the_way() -> None:
    _, axis = plots.subplots()
    plots.band(axis, [0, 1], np.array([[0.2, 0.3]]), "scratch", "black", height=0.6)
    assert axis.texts[0].xy == (1, 0.6)


FLOWERS = {"frozen": np.array([[0.2, 0.5], [0.4, 0.7]]), "block 3": np.array([[0.1, 0.6]]), "guessing": [0.2, 0.3]}


def test_curves_draw_a_panel_per_title_with_the_mean_of_every_way() -> None:
    figure = plots.curves([5, 10], {"flowers": FLOWERS, "fruit": {"frozen": [[0.3, 0.1]]}}, "labels", "accuracy")
    first, second = figure.axes
    assert [axis.get_title(loc="left") for axis in figure.axes] == ["flowers", "fruit"]
    assert (first.get_xlabel(), first.get_ylabel()) == ("labels", "accuracy")
    assert [label.get_text() for label in first.get_xticklabels()] == ["5", "10"]
    np.testing.assert_allclose([line.get_ydata() for line in first.lines], [[0.3, 0.6], [0.1, 0.6], [0.25, 0.25]])
    np.testing.assert_allclose(second.lines[0].get_ydata(), [0.3, 0.1])


def test_in_curves_a_way_that_does_not_depend_on_the_tick_is_a_dashed_line() -> None:
    figure = plots.curves([5, 10], {"": FLOWERS}, "", "")
    assert [line.get_linestyle() for line in figure.axes[0].lines] == ["-", "-", "--"]


def test_in_curves_a_known_label_has_its_colour_and_another_takes_a_free_one() -> None:
    figure = plots.curves([5, 10], {"": FLOWERS}, "", "")
    colours = [line.get_color() for line in figure.axes[0].lines]
    assert colours == [plots.COLOURS["transferred"], plots.COLOURS["light"], "black"]


def test_in_curves_labels_that_would_touch_stand_apart_in_the_order_of_their_lines() -> None:
    ways = {"high": [[0.0, 0.51]], "low": [[0.0, 0.5]], "far": [[0.0, 0.1]]}
    texts = plots.curves([5, 10], {"": ways}, "", "").axes[0].texts
    heights = {text.get_text().strip(): text.xy[1] for text in texts}
    assert heights["far"] == pytest.approx(0.1)
    assert heights["high"] - heights["low"] == pytest.approx(0.07)
    assert heights["high"] + heights["low"] == pytest.approx(1.01)


def test_in_curves_labels_stay_beside_their_panel() -> None:
    ways = {"a": [[1.0, 0.0]], "b": [[1.0, 0.01]], "c": [[0.0, 1.0]], "d": [[0.0, 0.99]]}
    texts = plots.curves([5, 10], {"": ways}, "", "").axes[0].texts
    heights = {text.get_text().strip(): text.xy[1] for text in texts}
    assert heights == pytest.approx({"a": 0, "b": 0.07, "c": 1, "d": 0.93})


def test_lines_are_told_apart_without_their_colours_and_labels_are_black() -> None:
    ways = {"a": [[0.1, 0.2]], "b": [[0.4, 0.5]], "c": [[0.8, 0.9]]}
    [axis] = plots.curves([5, 10], {"": ways}, "", "").axes
    assert len({line.get_marker() for line in axis.lines}) == 3
    assert {text.get_color() for text in axis.texts} == {"black"}


def test_the_diagram_of_the_cut_names_each_part_from_left_to_right() -> None:
    [axis] = plots.cut_diagram().axes
    named = sorted((text.get_position()[0], text.get_text().split("\n")[0]) for text in axis.texts if text.get_text())
    order = [name for _, name in named if name != "the pretrained network"]
    assert order == ["pictures", "trunk", "the cut", "tail", "head", "classes"]


def test_a_row_per_method_shows_every_seed_and_the_mean():
    figure = plots.by_seed({"ours": [0.5, 0.7], "theirs": [0.2, 0.2]}, ["black", "blue"], "accuracy", 0.25)
    [axis] = figure.axes
    assert [label.get_text() for label in axis.get_yticklabels()] == ["ours", "theirs"]
    assert [line.get_xdata()[0] for line in axis.lines if line.get_marker() == "|"] == pytest.approx([0.6, 0.2])
    assert sorted(axis.lines[0].get_xdata()) == [0.5, 0.7]
    assert [text.get_text() for text in axis.texts] == ["0.60", "0.20"]
    assert "dot: a seed;" in axis.get_xlabel()
    [axis] = plots.by_seed({"ours": [0.5, 0.7]}, ["black"], "accuracy", 0.25, dot="a draw").axes
    assert "dot: a draw;" in axis.get_xlabel()


def test_a_confusion_matrix_shows_its_counts_true_classes_downwards():
    figure = plots.confusion(np.array([[3, 1], [0, 2]]), ["cat", "dog"])
    [axis] = figure.axes
    found = {(int(text.get_position()[1]), int(text.get_position()[0])): text.get_text() for text in axis.texts}
    assert found == {(0, 0): "3", (0, 1): "1", (1, 0): "0", (1, 1): "2"}
    assert axis.get_ylabel() == "true class"


def test_of_many_classes_the_pairs_that_are_confused_most_are_listed_in_a_small_figure():
    matrix = np.diag(np.full(120, 5)) + np.eye(120, k=1, dtype=np.int64)
    matrix[7, 3], matrix[2, 9] = 4, 2
    figure = plots.confusion(matrix, [f"class $_{number}" for number in range(120)])
    [axis] = figure.axes
    assert [bar.get_width() for bar in axis.patches][:3] == [4, 2, 1] and len(axis.patches) == 15
    labels = [label.get_text() for label in axis.get_yticklabels()]
    assert labels[0].replace("\\", "") == "class $_7, taken for class $_3"
    assert axis.get_xlabel() == "times, of 725 examples of 120 classes; 600 are right"
    assert len(plots.png(figure)) < 200_000
    [axis] = plots.confusion(np.eye(120, dtype=np.int64), [str(number) for number in range(120)]).axes
    assert not axis.patches


def drawn(text: str, **options: Any) -> np.ndarray:
    """The pixels of a figure that holds nothing but a text."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4, 1), dpi=50)
    figure.text(0.1, 0.4, text, **options)
    canvas = matplotlib.backends.backend_agg.FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())


@pytest.mark.parametrize("name", ["$20__x^$", "$5-$10", "$1_front", "\\$5", "$10 \\ new", "50 %_a|b", "a$b$c$"])
def test_a_name_is_drawn_as_written_and_not_as_a_formula(name: str) -> None:
    np.testing.assert_array_equal(drawn(plots.as_written(name)), drawn(name, parse_math=False))


def test_every_name_in_a_figure_is_drawn_as_written() -> None:
    names = ["$20__x^$", "$5-$10 \udce4\n\x07"]
    safe = [plots.as_written(name) for name in names]
    black, right = np.zeros((2, 4, 4, 3), dtype=np.uint8), np.zeros((2, 1))
    rates = learning_rates.RangeTest(np.array([1e-4, 1e-3]), np.array([2.0, 1.1]), np.array([1.9, 1.2]), 1e-4)
    data = calibration.reliability([0, 1], [[0.9, 0.1], [0.2, 0.8]])
    trials = [{name: place for name, place in zip(names, names[::-1], strict=True)}] * 2
    for figure in (
        plots.confusion(np.eye(2, dtype=np.int64), names),
        plots.pictures(black, names, side=3),
        plots.by_seed(dict.fromkeys(names, [0.5]), ["black"] * 2, "accuracy", 0.5),
        plots.curves(names, {name: {names[0]: right.T, names[1]: [0.5]} for name in names}, "", ""),
        plots.reliability(dict.fromkeys(names, data)),
        plots.range_test(dict.fromkeys(names, rates)),
        plots.slices(trials, [0.1, 0.2], dict.fromkeys(names, 0.5), "loss"),
    ):
        figure.canvas.draw()
        texts = [text.get_text() for text in figure.findobj(Text)]
        for name, shown in zip(names, safe, strict=True):
            assert any(shown in text for text in texts) and not any(name in text for text in texts)


@pytest.mark.parametrize("character", ["\ufff0", "\U0010fffd", "\ue123"])
def test_characters_that_no_font_has_become_codes_and_are_warned_of_once(
    character: str, recwarn: pytest.WarningsRecorder
) -> None:
    plots._warn_of_missing_font.cache_clear()
    figure = plots.pictures(np.zeros((30, 4, 4, 3), dtype=np.uint8), [f"rose {character}{n}" for n in range(30)])
    figure.canvas.draw()
    assert [str(warning.message).split(" some ")[0] for warning in recwarn] == ["No installed font has"]
    assert f"{ord(character):x}" in figure.axes[0].get_title()


def test_a_long_name_keeps_its_ends() -> None:
    figure = plots.confusion(np.eye(2, dtype=np.int64), [f"{'x' * 300}{end}" for end in "ab"])
    shown = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert [text[-1] for text in shown] == ["a", "b"] and max(map(len, shown)) <= 40


def test_a_heat_map_brightens_a_picture_where_it_is_hot():
    maps = np.zeros((1, 2, 2), dtype=np.float32)
    maps[0, 0, 1] = 1
    laid = plots.overlaid(np.full((1, 2, 2, 3), 100, dtype=np.uint8), maps)
    assert laid.shape == (1, 2, 2, 3) and laid.dtype == np.uint8
    assert laid.sum(axis=-1)[0].argmax() == 1


def test_a_reliability_diagram_shows_accuracy_confidence_and_count_of_the_bins_that_hold_pictures():
    confident = calibration.Reliability(
        edges=np.array([0, 0.25, 0.5, 0.75, 1]),
        counts=np.array([0, 1, 0, 3]),
        confidence=np.array([np.nan, 0.4, np.nan, 0.9]),
        accuracy=np.array([np.nan, 1.0, np.nan, 0.5]),
    )
    figure = plots.reliability({"before": confident, "after": confident})
    assert len(figure.axes) == 2
    assert figure.axes[0].get_title(loc="left") == "before: ECE 0.450"  # (1 * 0.6 + 3 * 0.4) / 4
    bars = [(bar.get_x(), bar.get_width(), bar.get_height()) for bar in figure.axes[1].patches]
    assert bars == [(0.25, 0.25, 1.0), (0.75, 0.25, 0.5)]
    dashes = [[tuple(point) for point in dash] for dash in figure.axes[1].collections[0].get_segments()]
    assert dashes == [[(0.25, 0.4), (0.5, 0.4)], [(0.75, 0.9), (1.0, 0.9)]]
    assert [(text.get_text(), text.xy) for text in figure.axes[1].texts] == [("1", (0.375, 1.0)), ("3", (0.875, 0.9))]


def test_a_single_reliability_diagram_can_be_drawn():
    data = calibration.reliability([0, 1], [[0.9, 0.1], [0.2, 0.8]])
    assert len(plots.reliability({"model": data}).axes) == 1


def test_a_range_test_shows_the_loss_over_the_rate_on_a_log_scale_and_marks_the_suggestion():
    rates = np.array([1e-4, 1e-3, 1e-2, 1e-1])
    test = learning_rates.RangeTest(rates, np.array([2.0, 1.1, 0.4, 3.0]), np.array([1.9, 1.2, 0.7, 2.5]), 1e-3)
    figure = plots.range_test({"random head": test, "trained head": test})
    assert [axis.get_title(loc="left") for axis in figure.axes] == ["random head", "trained head"]
    axis = figure.axes[1]
    assert axis.get_xscale() == "log"
    dots, line, ring, mark = axis.lines
    np.testing.assert_array_equal(dots.get_xydata(), np.column_stack([rates, test.losses]))
    np.testing.assert_array_equal(line.get_xydata(), np.column_stack([rates, test.smoothed]))
    np.testing.assert_array_equal(ring.get_xydata(), [[1e-2, 0.7]])
    assert set(mark.get_xdata()) == {1e-3}
    assert [text.get_text().strip() for text in axis.texts] == ["suggested: 1e-03"]


def test_a_range_test_leaves_the_reading_to_the_reader_if_asked():
    test = learning_rates.RangeTest(np.array([1e-4, 1e-3]), np.array([2.0, 1.1]), np.array([1.9, 1.2]), 1e-4)
    [axis] = plots.range_test({"random head": test}, suggest=False).axes
    assert len(axis.lines) == 2 and not axis.texts


def test_a_range_test_marks_the_rate_at_which_the_loss_diverged():
    test = learning_rates.RangeTest(np.array([1e-4, 1e-3]), np.array([2.0, 1.1]), np.array([1.9, 1.2]), 1e-4, 1e-2)
    [axis] = plots.range_test({"random head": test}, suggest=False).axes
    assert set(axis.lines[-1].get_xdata()) == {1e-2}
    assert [text.get_text() for text in axis.texts] == ["diverged"]


def test_range_tests_side_by_side_share_the_scale_of_the_loss():
    rates = np.array([1e-4, 1e-3])
    losses = {"high": np.array([2.0, 4.0]), "low": np.array([0.02, 0.01])}
    tests = {name: learning_rates.RangeTest(rates, values, values, 1e-4) for name, values in losses.items()}
    high, low = plots.range_test(tests).axes
    assert high.get_ylim() == low.get_ylim() and low.get_ylim()[0] == 0 and low.get_ylim()[1] >= 4


def test_slices_show_every_trial_against_each_hyperparameter_with_the_most_important_first():
    trials = [
        {"rate": 1e-4, "dropout": 0.1, "width": 64, "cut": "late"},
        {"rate": 1e-1, "dropout": 0.5, "width": 0, "cut": "early"},
        {"rate": 1e-2, "dropout": 0.3, "width": 16, "cut": "early"},
    ]
    importance = {"rate": 0.7, "width": 0.2, "dropout": 0.06, "cut": 0.04}
    figure = plots.slices(trials, [0.9, 0.3, 0.5], importance, "log loss", log=["rate"])
    titles = [axis.get_title(loc="left") for axis in figure.axes]
    assert titles == ["rate: 70%", "width: 20%", "dropout: 6%", "cut: 4%"]
    rate, width, dropout, cut = figure.axes
    assert rate.get_ylabel() == "log loss"
    assert (rate.get_xscale(), dropout.get_xscale()) == ("log", "linear")
    np.testing.assert_array_equal(rate.lines[0].get_xydata(), [[1e-4, 0.9], [1e-1, 0.3], [1e-2, 0.5]])
    assert [tick.get_text() for tick in width.get_xticklabels()] == ["0", "16", "64"]
    np.testing.assert_array_equal(width.lines[0].get_xydata(), [[2, 0.9], [0, 0.3], [1, 0.5]])
    assert [tick.get_text() for tick in cut.get_xticklabels()] == ["early", "late"]
