"""Draw every figure of the course in one style, with a description for those who cannot see it."""

from __future__ import annotations

import functools
import io
import itertools
import logging
import warnings
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tlutils import settings

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from tlutils.evaluation.calibration import Reliability
    from tlutils.tuning.learning_rates import RangeTest

# Okabe & Ito's palette (2008, "Color universal design"): told apart with every common kind of colour blindness. Each
# colour means one thing through the whole course.
COLOURS = {
    "transferred": "#0072B2",
    "fine-tuned": "#009E73",
    "scratch": "#D55E00",
    "untrained": "#999999",
    "accent": "#CC79A7",
    "warning": "#E69F00",
    "light": "#56B4E9",
}
# Other labels for the same things.
_MEANING = {"frozen": "transferred", "pretrained": "transferred", "from the source": "transferred"}
_MEANING |= {"from scratch": "scratch", "from zero": "scratch"}

_MARKERS = "os^DvPX"

# Between two labels at the right end of a panel of `curves`, whose height is 1: one line of text.
_LINE_OF_TEXT = 0.07

# Fonts of the usual systems with the characters that matplotlib's own lacks: Chinese, Japanese, Korean, Indian and
# other scripts, symbols. In colour no font can be drawn, so emoji come from the black ones.
_MORE_FONTS = (
    *("Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans CJK KR", "Noto Sans SC", "WenQuanYi Micro Hei"),
    *("WenQuanYi Zen Hei", "Droid Sans Fallback", "Noto Sans", "Noto Sans Devanagari", "Noto Sans Thai", "Noto Emoji"),
    *("Symbola", "Unifont"),
    *("PingFang SC", "Hiragino Sans", "Hiragino Sans GB", "Apple SD Gothic Neo", "Arial Unicode MS"),
    *("Microsoft YaHei", "Yu Gothic", "Malgun Gothic", "Nirmala UI", "Leelawadee UI", "Segoe UI", "Segoe UI Symbol"),
)

# Characters of a name that are drawn, and of one beside a matrix.
_LONGEST = 60
_LONGEST_TICK = 32

# Above so many classes no count of a confusion matrix can be read; this many pairs of classes are listed instead.
_MOST_CLASSES, _MOST_PAIRS = 20, 15

# From a panel's title to its labels, from a label to what was measured; see `curves`.
Panels = Mapping[str, Mapping[str, ArrayLike]]


def subplots(rows: int = 1, columns: int = 1, *, width: float = 8.0, height: float = 3.6) -> tuple[Figure, Any]:
    """Open a figure in the course's style.

    Parameters
    ----------
    rows, columns : int
    width, height : float
        In inches.

    Returns
    -------
    figure, axes
        As `matplotlib.pyplot.subplots`; axes is one Axes or an array of them.
    """
    import matplotlib.pyplot as plt

    plt.rcParams.update(
        {
            "figure.dpi": 100,
            "savefig.dpi": 100,
            "font.size": 10.5,
            "font.family": ["sans-serif", *_more_fonts()],
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.titlelocation": "left",
            "axes.titlesize": 11,
            "axes.grid": True,
            "grid.alpha": 0.25,
            "lines.linewidth": 2,
            "lines.markersize": 5,
        }
    )
    return plt.subplots(rows, columns, figsize=(width, height), layout="constrained")


def as_written(text: object, most: int = _LONGEST) -> str:
    r"""Return a reader's text in the form in which matplotlib draws it as it is written.

    Every name of a class, a file, a domain or a method goes through here on its way into a figure. A dollar begins no
    formula; control characters and bytes that are not UTF-8 stand as their codes, and so do, after one warning, the
    characters that no installed font has; a long text loses its middle. Line breaks stay.

    Parameters
    ----------
    text : object
        Made a str.
    most : int
        Characters of each line.

    Returns
    -------
    str

    Examples
    --------
    >>> print(as_written("50 $"), as_written("a much longer name than fits", most=11))
    50 \$ a muc… fits
    """
    lines = (settings.printable(line, most) for line in str(text).split("\n"))
    return "\n".join("".join(map(_drawable, line)) for line in lines).replace("$", r"\$")


def _drawable(character: str) -> str:
    if ord(character) < 0x250 or any(font.get_char_index(ord(character)) for font in _fonts()):
        return character
    if character in "\u200d\ufe0e\ufe0f":  # They only join the characters of an emoji, or choose its form.
        return ""
    _warn_of_missing_font()
    return f"\\u{ord(character):04x}" if ord(character) < 0x10000 else f"\\U{ord(character):08x}"


@functools.cache
def _more_fonts() -> tuple[str, ...]:
    """Those of the fonts above that are installed."""
    from matplotlib import font_manager

    # They lend single characters. That one of them has no bold ones is nothing for a reader's notebook.
    weight = "Failed to find font weight"
    logging.getLogger("matplotlib.font_manager").addFilter(lambda record: weight not in record.getMessage())
    installed = {font.name for font in font_manager.fontManager.ttflist}
    return tuple(name for name in _MORE_FONTS if name in installed)


@functools.cache
def _fonts() -> tuple[Any, ...]:
    from matplotlib import font_manager

    families = ("sans-serif", *_more_fonts())
    paths = (font_manager.findfont(font_manager.FontProperties(family=[name])) for name in families)
    return tuple(font_manager.get_font(path) for path in paths)


@functools.cache
def _warn_of_missing_font() -> None:
    warnings.warn(
        "No installed font has some characters of the names in these figures, so their codes are drawn. Install a font "
        f"that has them, such as {_MORE_FONTS[0]} or Noto Emoji, and start again.",
        stacklevel=6,
    )


def show(figure: Figure, alt: str) -> None:
    """Display a figure with its description, and close it.

    Parameters
    ----------
    figure : Figure
    alt : str
        What a sighted reader takes from the figure; becomes the picture's ``alt`` text on the web.
    """
    import matplotlib.pyplot as plt
    from IPython.display import Image, display

    if not alt.strip():
        raise ValueError("a figure needs a description (alt text)")
    drawn = png(figure)
    plt.close(figure)
    display(Image(drawn, format="png", alt=alt, metadata={"alt": alt}))


def png(figure: Figure) -> bytes:
    """Draw a figure as a PNG file, as `show` displays it and a report holds it.

    Parameters
    ----------
    figure : Figure
        Stays open.

    Returns
    -------
    bytes
    """
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", bbox_inches="tight", pad_inches=0.15)
    return buffer.getvalue()


def pictures(
    images: NDArray[np.generic] | Sequence[NDArray[np.generic]],
    titles: Sequence[str] = (),
    *,
    columns: int = 10,
    side: float = 0.95,
) -> Figure:
    """Lay pictures out in rows.

    Parameters
    ----------
    images : array or sequence of arrays, shapes (height, width, 3) or (height, width)
        RGB from 0 to 255, or from 0 to 1 if they are floats. A map without colours is drawn dark for its smallest value
        and bright for its largest. Sizes may differ.
    titles : sequence of str
        One for each picture, or none; shortened to what fits above it.
    columns : int
        Pictures in a row.
    side : float
        Of one picture, in inches.

    Returns
    -------
    Figure
    """
    rows = -(-len(images) // columns)
    title_height = 0.22 if len(titles) else 0.04
    figure, axes = subplots(rows, columns, width=side * columns, height=(side + title_height) * rows)
    for index, axis in enumerate(np.ravel(axes)):
        axis.axis("off")
        if index < len(images):
            axis.imshow(images[index], cmap="inferno", interpolation="nearest")
            if len(titles):
                # At this size some 17 characters are an inch wide.
                title = as_written(titles[index], max(16, round(17 * side)))
                axis.set_title(title, fontsize=8, loc="center")
    return figure


def cut_diagram() -> Figure:
    """Draw the idea of the course: a pretrained network, cut into a frozen trunk and a trained tail, under a new head.

    Returns
    -------
    Figure
    """
    parts = (
        ("pictures", 0.0, 1.3, "white", "black"),
        ("trunk\nfrozen, computed once", 1.8, 3.4, COLOURS["transferred"], "white"),
        ("tail\ntrained", 5.8, 1.7, COLOURS["fine-tuned"], "black"),
        ("head\nnew, trained", 8.0, 1.7, COLOURS["light"], "black"),
        ("classes", 10.2, 1.3, "white", "black"),
    )
    figure, axis = subplots(width=9, height=2.0)
    for text, left, width, face, ink in parts:
        axis.barh(0, width, left=left, height=1, color=face, edgecolor="black")
        axis.text(left + width / 2, 0, text, color=ink, ha="center", va="center")
        if left:
            axis.annotate("", (left, 0), (left - 0.5, 0), arrowprops={"arrowstyle": "->"})
    axis.plot([5.5, 5.5], [-0.75, 0.75], color="black", linestyle="--")
    axis.text(5.5, 0.85, "the cut", ha="center", weight="bold")
    axis.annotate("", (1.8, -0.95), (7.5, -0.95), arrowprops={"arrowstyle": "<->"})
    axis.text(4.65, -1.0, "the pretrained network", ha="center", va="top")
    axis.set(xlim=(-0.1, 11.6), ylim=(-1.4, 1.15))
    axis.axis("off")
    return figure


def band(
    axis: Axes,
    x: Iterable[float],
    runs: NDArray[np.floating],
    label: str,
    colour: str,
    *,
    height: float | None = None,
    marker: str = "o",
) -> None:
    """Draw the mean over seeds as a line, the range as a band, and its mark with the label at the right end.

    Parameters
    ----------
    axis : Axes
    x : sequence of float, length n
    runs : array, shape (seeds, n)
    label : str
        Written beside the last point, in black; a legend would make the eye travel.
    colour : str
    height : float, optional
        Of the label, where the one beside the last point would hide another.
    marker : str
        Of the points, so that lines can be told apart without colours.
    """
    from matplotlib.transforms import offset_copy

    x = list(x)
    mean = runs.mean(axis=0)
    axis.fill_between(x, runs.min(axis=0), runs.max(axis=0), color=colour, alpha=0.18, linewidth=0)
    axis.plot(x, mean, color=colour, marker=marker)
    beside = mean[-1] if height is None else height
    # The line's mark stands before its label, which may be beside the end of another line.
    before = offset_copy(axis.transData, axis.get_figure(root=True), x=14, units="points")
    axis.scatter(x[-1], beside, s=20, color=colour, marker=marker, transform=before, clip_on=False)
    axis.annotate(f"     {as_written(label)}", (x[-1], beside), va="center", annotation_clip=False)


def curves(ticks: Sequence[object], panels: Panels, xlabel: str, ylabel: str) -> Figure:
    """Draw panels side by side, in each a labelled band for every way that was measured; values from 0 to 1.

    Parameters
    ----------
    ticks : sequence, length n
        Written under the points, which are equally spaced.
    panels : mapping from a title to a mapping from label to array
        An array of shape (seeds, n) becomes a band; one of shape (seeds,), which does not depend on the tick, a dashed
        line at its mean. Labels stand at the right ends, moved apart where they would touch. A label that is a key of
        `COLOURS`, or means one, has that colour; the others take turns in three that mean nothing.
    xlabel, ylabel : str

    Returns
    -------
    Figure
    """
    figure, axes = subplots(1, len(panels), width=max(8.0, 5.0 * len(panels)))
    for axis, (title, ways) in zip(np.ravel(axes), panels.items(), strict=True):
        axis.set(title=as_written(title), xlabel=xlabel, ylabel=ylabel, ylim=(0, 1.03))
        axis.set_xticks(range(len(ticks)), [as_written(tick, _LONGEST_TICK) for tick in ticks])
        over_seeds = {label: np.asarray(runs, dtype=np.float64).mean(axis=0) for label, runs in ways.items()}
        means = {label: np.broadcast_to(mean, len(ticks)) for label, mean in over_seeds.items()}
        heights = _apart([mean[-1] for mean in means.values()])
        free = itertools.cycle(("light", "accent", "warning"))
        markers = itertools.cycle(_MARKERS)
        for (label, runs), height, marker in zip(ways.items(), heights, markers, strict=False):
            meaning = _MEANING.get(label, label)
            colour = "black" if meaning == "guessing" else COLOURS[meaning if meaning in COLOURS else next(free)]
            if np.ndim(runs) == 1:
                axis.plot(means[label], color=colour, linewidth=1.5, linestyle="--")
                text = f"     {as_written(label)}"
                axis.annotate(text, (len(ticks) - 1, height), va="center", annotation_clip=False)
            else:
                band(axis, range(len(ticks)), np.asarray(runs), label, colour, height=height, marker=marker)
    return figure


def _apart(heights: Sequence[float]) -> NDArray[np.float64]:
    """Move labels as little as possible, in the sum of squares, so that they do not touch and stay between 0 and 1."""
    from scipy.optimize import isotonic_regression

    order = np.argsort(heights)
    room = _LINE_OF_TEXT * np.arange(len(heights))
    moved = np.empty(len(heights))
    moved[order] = np.clip(isotonic_regression(np.asarray(heights)[order] - room).x, 0, 1 - room[-1]) + room
    return moved


def by_seed(
    results: Mapping[str, Sequence[float]], colours: Sequence[str], label: str, chance: float, dot: str = "a seed"
) -> Figure:
    """Draw one row per method: a dot for each seed, a bar and a number for the mean.

    Parameters
    ----------
    results : mapping from the method's name to one value per seed, 0 to 1
        Drawn from top to bottom.
    colours : sequence of str
        One for each row.
    label : str
        What the values are.
    chance : float
        What guessing gives; a dotted line.
    dot : str
        What a dot is, if not one seed.

    Returns
    -------
    Figure
    """
    figure, axis = subplots(width=8, height=0.7 + 0.45 * len(results))
    for row, (values, colour) in enumerate(zip(results.values(), colours, strict=True)):
        mean = float(np.mean(values))
        axis.plot(values, [row] * len(values), "o", color=colour, alpha=0.6)
        axis.plot(mean, row, "|", color=colour, markersize=20, markeredgewidth=3)
        # Rounded as pandas rounds, so that a table beside the figure shows the same number.
        axis.text(1.02, row, f"{np.round(mean, 2):.2f}", va="center")
    axis.axvline(chance, color="black", linewidth=1, linestyle=":")
    axis.set_yticks(range(len(results)), [as_written(name) for name in results])
    axis.set(xlim=(0, 1), ylim=(len(results) - 0.5, -0.5))
    axis.set_xlabel(f"{label} (dot: {dot}; bar: mean; dotted line: guessing)")
    return figure


def confusion(matrix: NDArray[np.int64], class_names: Sequence[str]) -> Figure:
    """Draw a confusion matrix with its counts; of many classes, the pairs that are taken for each other most often.

    Parameters
    ----------
    matrix : int array, shape (n_classes, n_classes)
        Row: the true class. Column: the predicted class.
    class_names : sequence of str

    Returns
    -------
    Figure
    """
    from sklearn.metrics import ConfusionMatrixDisplay

    if len(class_names) > _MOST_CLASSES:
        return _most_confused(matrix, class_names)
    side = max(3.6, 0.55 * len(class_names))
    figure, axis = subplots(width=side + 1, height=side)
    names = [as_written(name, _LONGEST_TICK) for name in class_names]
    display = ConfusionMatrixDisplay(matrix, display_labels=names)
    display.plot(cmap="Blues", colorbar=False, values_format="d", ax=axis)
    axis.set(xlabel="predicted class", ylabel="true class")
    axis.set_xticks(range(len(names)), names, rotation=30, ha="right")
    axis.set_yticks(range(len(names)), names)
    axis.grid(False)
    return figure


def _most_confused(matrix: NDArray[np.int64], class_names: Sequence[str]) -> Figure:
    wrong = matrix - np.diag(np.diag(matrix))
    pairs = np.argwhere(wrong)
    pairs = pairs[np.argsort(-wrong[tuple(pairs.T)], kind="stable")][:_MOST_PAIRS]
    figure, axis = subplots(width=8, height=1 + 0.3 * max(1, len(pairs)))
    names = [as_written(name, _LONGEST_TICK) for name in class_names]
    axis.barh(range(len(pairs)), wrong[tuple(pairs.T)], color=COLOURS["accent"])
    axis.set_yticks(range(len(pairs)), [f"{names[true]}, taken for {names[said]}" for true, said in pairs])
    axis.invert_yaxis()
    axis.set(xlabel=f"times, of {matrix.sum()} examples of {len(names)} classes; {np.trace(matrix)} are right")
    return figure


def overlaid(pictures: NDArray[np.uint8], maps: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Lay coloured heat maps over pictures, dark for 0 and bright for 1, readable with any colour vision.

    Parameters
    ----------
    pictures : uint8 array, shape (n, height, width, 3)
    maps : float32 array, shape (n, height, width)
        0 to 1.

    Returns
    -------
    uint8 array, shape (n, height, width, 3)
    """
    from matplotlib import colormaps

    colours = colormaps["inferno"](np.clip(maps, 0, 1))[..., :3]
    return (0.35 * pictures + 0.65 * 255 * colours).astype(np.uint8)


def reliability(models: Mapping[str, Reliability]) -> Figure:
    """Draw reliability diagrams side by side: accuracy against confidence, with the count of each bin.

    Parameters
    ----------
    models : mapping from a name to what `calibration.reliability` returns

    Returns
    -------
    Figure
        A bar for the accuracy of each bin that is not empty, a dash for its mean confidence, the count above both. The
        gaps between bar and dash, averaged over the pictures, are the ECE.
    """
    figure, axes = subplots(1, len(models), width=4.2 * len(models), height=3.8)
    for axis, (name, data) in zip(np.ravel(axes), models.items(), strict=True):
        filled = data.counts > 0
        left, widths = data.edges[:-1][filled], np.diff(data.edges)[filled]
        accuracy, confidence = data.accuracy[filled], data.confidence[filled]
        axis.bar(left, accuracy, widths, align="edge", color=COLOURS["light"], edgecolor="white")
        axis.hlines(confidence, left, left + widths, color=COLOURS["accent"])
        for x, y, count in zip(left + widths / 2, np.maximum(accuracy, confidence), data.counts[filled], strict=True):
            axis.annotate(f"{count}", (x, y), (0, 3), textcoords="offset points", ha="center", fontsize=8)
        axis.plot([0, 1], [0, 1], color="black", linewidth=1, linestyle=":")
        axis.set(xlim=(0, 1), ylim=(0, 1.08), title=f"{as_written(name)}: ECE {data.ece:.3f}")
        axis.set_xlabel("confidence (dash: its mean in the bin)")
        axis.set_ylabel("accuracy (number: pictures)")
    return figure


def range_test(tests: Mapping[str, RangeTest], suggest: bool = True) -> Figure:
    """Draw learning-rate range tests side by side: the loss while the rate grows, and the suggested rate.

    Parameters
    ----------
    tests : mapping from a name to what `learning_rates.learning_rate_range_test` returns
    suggest : bool
        Whether to mark the lowest point and the suggestion, or to leave the reading to the reader.

    Returns
    -------
    Figure
        Dots: the loss of each step's batch. Line: smoothed. Ring: the lowest point of the line. Dashed: a tenth of its
        rate, the suggestion. Dotted: the rate at which the loss had diverged.
    """
    figure, axes = subplots(1, len(tests), width=4.2 * len(tests) + 1, height=3.6)
    for axis, (name, test) in zip(np.ravel(axes), tests.items(), strict=True):
        axis.semilogx(test.rates, test.losses, ".", color=COLOURS["light"], alpha=0.6)
        axis.semilogx(test.rates, test.smoothed, color=COLOURS["transferred"])
        if suggest:
            colour, lowest = COLOURS["scratch"], test.smoothed.argmin()
            axis.plot(test.rates[lowest], test.smoothed[lowest], "o", color=colour, markersize=9, fillstyle="none")
            axis.axvline(test.suggestion, color=colour, linestyle="--")
            text, place = f" suggested: {test.suggestion:.0e}", (test.suggestion, 1)
            axis.annotate(text, place, xycoords=("data", "axes fraction"), color=colour, va="top")
        if test.diverged is not None:
            axis.axvline(test.diverged, color=COLOURS["warning"], linestyle=":")
            where = {"xy": (test.diverged, 0.92), "xycoords": ("data", "axes fraction")}
            axis.annotate("diverged", **where, rotation=90, ha="right", va="top", color=COLOURS["warning"])
        axis.set(title=as_written(name), xlabel="learning rate (log scale)", ylabel="loss of the batch")
    # One scale for all, so that a flat curve near zero looks flat.
    top = max(axis.get_ylim()[1] for axis in figure.axes)
    for axis in figure.axes:
        axis.set_ylim(0, top)
    return figure


def slices(
    parameters: Sequence[Mapping[str, object]],
    scores: Sequence[float],
    importance: Mapping[str, float],
    label: str,
    log: Collection[str] = (),
) -> Figure:
    """Draw every trial of a search as a dot: its score against each hyperparameter, the most important one first.

    Parameters
    ----------
    parameters : sequence of mappings from a hyperparameter to its value, one for each trial
        Floats get an axis of numbers; other values get equally spaced places.
    scores : sequence of float
    importance : mapping from a hyperparameter to its share of the variance, in the order of the panels
    label : str
        What the scores are.
    log : collection of str
        Hyperparameters that get a logarithmic axis.

    Returns
    -------
    Figure
    """
    figure, axes = subplots(1, len(importance), width=2.4 * len(importance), height=2.8)
    for axis, (name, share) in zip(np.ravel(axes), importance.items(), strict=True):
        values = [trial[name] for trial in parameters]
        if all(isinstance(value, float) for value in values):
            axis.plot(values, scores, ".", color=COLOURS["transferred"], alpha=0.6)
            axis.set_xscale("log" if name in log else "linear")
        else:
            places = sorted(set(values), key=lambda value: (str(type(value)), value))
            axis.plot([places.index(value) for value in values], scores, ".", color=COLOURS["transferred"], alpha=0.6)
            axis.set_xticks(range(len(places)), [as_written(place, _LONGEST_TICK) for place in places], fontsize=8)
            axis.set_xlim(-0.5, len(places) - 0.5)
        axis.set(title=f"{as_written(name)}: {share:.0%}", xlabel=as_written(name))
    np.ravel(axes)[0].set_ylabel(label)
    return figure
