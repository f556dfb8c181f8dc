"""Make the product cards of a synthetic toy shop: a picture and a description, each of which may be spoilt.

Nothing here was photographed or written by a customer. The shop sells wind-up flowers. A card's picture shows the look
of the toy, its description tells what the toy does. Which look goes with which action is for the caller to say.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tlutils import settings
from tlutils.synthetic import shapes

LOOKS = shapes.FLOWERS
# The wordings of one action share no word that tells it: who has counted words of some knows nothing of another.
ACTIONS = {
    "walks": (
        "It walks across the table",
        "Watch it march along the floor",
        "It takes small steps on two feet",
        "See it stroll past your plate",
        "It strides like a soldier",
    ),
    "spins": (
        "It spins like a top",
        "Watch it whirl round and round",
        "It turns on the spot until you are dizzy",
        "See it twirl as a dancer would",
        "It rotates about its own axis",
    ),
    "jumps": (
        "It jumps over a matchbox",
        "Watch it hop up and down",
        "It leaps into the air",
        "See it bounce off the ground",
        "It vaults the rim of a cup",
    ),
    "swims": (
        "It swims in the bath",
        "Watch it paddle through the water",
        "It crosses a pond with ease",
        "See it dive under the foam",
        "It floats down a brook",
    ),
    "nods": (
        "It nods to everyone who passes",
        "Watch it bow at your guests",
        "It says yes with its head all day",
        "See it agree to any question",
        "It greets you with lowered eyes",
    ),
}
WORDINGS = 5
_OPENINGS = (
    "Wind it up!",
    "A toy of painted tin.",
    "For young and old.",
    "New in our shop.",
    "Made by hand.",
    "A classic.",
)
_ENDINGS = (
    "and comes in a red box.",
    "and needs no battery.",
    "for three minutes.",
    "and costs little.",
    "all by itself.",
)
_VAGUE = (
    "A fine present for any birthday",
    "It looks good on every shelf",
    "Children have loved it for years",
    "It is light and packs well",
    "Our best seller of the season",
)


@dataclass(frozen=True, repr=False)
class Cards:
    """Product cards, and which of their sides tell nothing.

    Attributes
    ----------
    pictures : uint8 array, shape (n, 64, 64, 3)
        What the toy looks like; RGB.
    texts : tuple of str, length n
        What it does.
    spoilt : dict of str to bool array, shape (n,)
        For ``"picture"`` and ``"text"``, whether that side of the card tells nothing.
    """

    pictures: NDArray[np.uint8]
    texts: tuple[str, ...]
    spoilt: dict[str, NDArray[np.bool_]]

    def __len__(self) -> int:
        return len(self.texts)

    def __repr__(self) -> str:
        spoilt = ", ".join(f"{name} {bad.mean():.0%}" for name, bad in self.spoilt.items())
        return f"{len(self)} cards of a synthetic toy shop; spoilt: {spoilt}"


def cards(looks: ArrayLike, actions: ArrayLike, wordings: ArrayLike, seed: int, *, spoilt: float = 0.0) -> Cards:
    """Make one card for each look and action that is asked for.

    A spoilt picture is out of focus until only colours are left, a spoilt description praises the toy and does not say
    what it does. About 450 cards per second on one core.

    Parameters
    ----------
    looks, actions, wordings : int array, shape (n,)
        Indices into `LOOKS`, into `ACTIONS`, and into the five wordings of an action.
    seed : int
        0 or more.
    spoilt : float
        The share of spoilt sides, 0 to 1, drawn for each card and side independently of all else.

    Returns
    -------
    Cards

    Raises
    ------
    settings.UserError
        A value outside its range, or arrays of unequal lengths.

    Examples
    --------
    >>> shop = cards([0, 4], [1, 2], [0, 0], seed=0)
    >>> shop.pictures.shape, "jumps over a matchbox" in shop.texts[1]
    ((2, 64, 64, 3), True)
    """
    settings.require_whole(0, seed=seed)
    given = {"looks": (looks, len(LOOKS)), "actions": (actions, len(ACTIONS)), "wordings": (wordings, WORDINGS)}
    columns = []
    for name, (values, count) in given.items():
        column = np.asarray(values)
        if column.shape != np.shape(looks) or column.ndim != 1 or not np.isin(column, np.arange(count)).all():
            raise settings.UserError(f"{name}: give one whole number from 0 to {count - 1} for each card.")
        columns.append(column.astype(np.int64))
    if not 0 <= spoilt <= 1:
        raise settings.UserError(f"spoilt={spoilt} must be a share from 0 to 1.")
    look, action, wording = columns
    # One stream for each use: given the kind, the sides are independent.
    lots, words = (np.random.default_rng([seed, use]) for use in range(2))
    bad = dict(zip(("picture", "text"), lots.random((2, len(look))) < spoilt, strict=True))

    pictures = shapes.flower_pictures(look, int(np.random.SeedSequence(seed).generate_state(1)[0]))
    pictures[bad["picture"]] = _out_of_focus(pictures[bad["picture"]])
    deeds = [tuple(ACTIONS.values())[one][how] for one, how in zip(action, wording, strict=True)]
    texts = tuple(_describe(deed, vague, words) for deed, vague in zip(deeds, bad["text"], strict=True))
    return Cards(pictures, texts, bad)


def _describe(deed: str, vague: bool, rng: np.random.Generator) -> str:
    """Three template parts; the middle one tells the action, or praises."""
    opening, ending, praise = rng.choice(_OPENINGS), rng.choice(_ENDINGS), rng.choice(_VAGUE)
    return f"{opening} {praise if vague else deed} {ending}"


def _out_of_focus(pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Blur with a Gaussian whose standard deviation is a seventh of the side: no outline is left."""
    from scipy.ndimage import gaussian_filter

    side = pictures.shape[1]
    return np.asarray(gaussian_filter(pictures, (0, side / 7, side / 7, 0), mode="nearest"), dtype=np.uint8)
