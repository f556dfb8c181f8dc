"""A folder of pictures to practise on, with the faults that real folders have."""

from __future__ import annotations

from pathlib import Path

from tlutils import settings
from tlutils.datasets import catalogue

_PER_CLASS = 30


def practice_folder(seed: int) -> Path:
    """Write thirty synthetic flowers of each of five kinds into a folder, and two faults with them.

    One picture is there a second time in another size, as ``once_more.jpg``, and ``notes.jpg`` is no picture.

    Parameters
    ----------
    seed : int
        Of the flowers.

    Returns
    -------
    Path
        A folder called ``synthetic_practice`` in the cache folder, with one sub-folder per class.
    """
    from PIL import Image

    place = settings.cache_dir() / f"practice_{seed}" / "synthetic_practice"
    drawn = catalogue.load("synthetic_flowers", per_class=_PER_CLASS, seed=seed)
    for number, (picture, label) in enumerate(zip(drawn.pictures[:], drawn.labels, strict=True)):
        kind = place / drawn.class_names[label]
        kind.mkdir(parents=True, exist_ok=True)
        image = Image.fromarray(picture)
        image.resize((128, 128)).save(kind / f"{number:03}.png")
    image.resize((90, 90)).save(kind / "once_more.jpg")
    (kind / "notes.jpg").write_text("A list of what is missing.", encoding="utf-8")
    return place
