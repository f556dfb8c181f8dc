"""Draw every figure of the course in one style, with a description for those who cannot see it."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

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
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", bbox_inches="tight")
    plt.close(figure)
    display(Image(buffer.getvalue(), format="png", alt=alt, metadata={"alt": alt}))


def pictures(
    images: NDArray[np.uint8],
    titles: Sequence[str] = (),
    *,
    columns: int = 10,
    colours: Sequence[str] = (),
    side: float = 0.95,
) -> Figure:
    """Lay pictures out in rows.

    Parameters
    ----------
    images : uint8 array, shape (n, height, width, 3)
    titles : sequence of str
        One for each picture, or none.
    columns : int
        Pictures in a row.
    colours : sequence of str
        Colour of each title, or none.
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
            axis.imshow(images[index], interpolation="nearest")
            if len(titles):
                axis.set_title(
                    titles[index], fontsize=8, color=colours[index] if len(colours) else "black", loc="center"
                )
    return figure


def band(
    axis: Axes, x: Iterable[float], runs: NDArray[np.floating], label: str, colour: str, *, marker: str = "o"
) -> None:
    """Draw the mean over seeds as a line, the range as a band, and the label at the line's right end.

    Parameters
    ----------
    axis : Axes
    x : sequence of float, length n
    runs : array, shape (seeds, n)
    label : str
        Written beside the last point; a legend would make the eye travel.
    colour : str
    marker : str
        Matplotlib's name of the point shape.
    """
    x = list(x)
    mean = runs.mean(axis=0)
    axis.fill_between(x, runs.min(axis=0), runs.max(axis=0), color=colour, alpha=0.18, linewidth=0)
    axis.plot(x, mean, color=colour, marker=marker)
    axis.annotate(f" {label}", (x[-1], mean[-1]), color=colour, va="center", annotation_clip=False)


def by_seed(results: Mapping[str, Sequence[float]], colours: Sequence[str], label: str, chance: float) -> Figure:
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
        axis.text(1.02, row, f"{np.round(mean, 2):.2f}", color=colour, va="center")
    axis.axvline(chance, color="black", linewidth=1, linestyle=":")
    axis.set(yticks=range(len(results)), yticklabels=results, xlim=(0, 1), ylim=(len(results) - 0.5, -0.5))
    axis.set_xlabel(f"{label} (dot: a seed; bar: mean; dotted line: guessing)")
    return figure


def confusion(matrix: NDArray[np.int64], class_names: Sequence[str]) -> Figure:
    """Draw a confusion matrix with its counts.

    Parameters
    ----------
    matrix : int array, shape (n_classes, n_classes)
        Row: the true class. Column: the predicted class.
    class_names : sequence of str

    Returns
    -------
    Figure
    """
    side = max(3.6, 0.55 * len(class_names))
    figure, axis = subplots(width=side + 1, height=side)
    axis.imshow(matrix, cmap="Blues")
    for (row, column), count in np.ndenumerate(matrix):
        axis.text(column, row, count, ha="center", va="center", color="white" if count > matrix.max() / 2 else "black")
    ticks = range(len(class_names))
    axis.set(xticks=ticks, yticks=ticks, xlabel="predicted class", ylabel="true class")
    axis.set_yticklabels(class_names)
    axis.set_xticklabels(class_names, rotation=30, ha="right")
    axis.grid(False)
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
