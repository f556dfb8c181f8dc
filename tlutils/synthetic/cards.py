"""Make the product cards of a synthetic toy shop: a picture, a description and a sound, each of which may be spoilt.

Nothing here was photographed, written by a customer or recorded. The shop sells wind-up flowers. A kind of toy has a
look, an action and a noise, and no sense alone can tell all kinds apart: two kinds share their look, two others their
action, two others their noise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tlutils import settings
from tlutils.synthetic import shapes, sounds

MODALITIES = ("picture", "text", "sound")
# Share of the pictures, descriptions and sounds that tell nothing.
SPOILT = 0.3
# Look (index into `shapes.FLOWERS`), action (into `ACTIONS`) and noise (into `sounds`' classes) of each kind.
KINDS: dict[str, tuple[int, int, int]] = {
    "daisy that walks": (0, 0, 0),
    "daisy that spins": (0, 1, 1),
    "dandelion that jumps": (1, 2, 2),
    "rose that jumps": (2, 2, 3),
    "sunflower that swims": (3, 3, 4),
    "tulip that nods": (4, 4, 4),
}
ACTIONS = {
    "walks": ("It walks across the table", "Watch it march along the floor", "It takes small steps on two feet"),
    "spins": ("It spins like a top", "Watch it whirl round and round", "It turns on the spot until you are dizzy"),
    "jumps": ("It jumps over a matchbox", "Watch it hop up and down", "It leaps into the air"),
    "swims": ("It swims in the bath", "Watch it paddle through the water", "It crosses a pond with ease"),
    "nods": ("It nods to everyone who passes", "Watch it bow its head", "It says yes with its head all day"),
}
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
    """Product cards with everything that is known about them.

    Attributes
    ----------
    pictures : uint8 array, shape (n, 64, 64, 3)
        What the toy looks like; RGB.
    texts : tuple of str, length n
        What it does.
    spectrograms : uint8 array, shape (n, 64, 64, 3)
        The noise it makes, as a picture: time to the right, pitch upwards, three equal channels.
    labels : int64 array, shape (n,)
        Index into `class_names`.
    class_names : tuple of str
    groups : int64 array, shape (n,)
        A number of its own for every card.
    spoilt : dict of str to bool array, shape (n,)
        For each of `MODALITIES`, whether that side of the card tells nothing.
    name : str
    """

    pictures: NDArray[np.uint8]
    texts: tuple[str, ...]
    spectrograms: NDArray[np.uint8]
    labels: NDArray[np.int64]
    class_names: tuple[str, ...]
    groups: NDArray[np.int64]
    spoilt: dict[str, NDArray[np.bool_]]
    name: str = "cards of a synthetic toy shop"

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def counts(self) -> NDArray[np.int64]:
        """Cards of each kind, shape (number of kinds,)."""
        return np.bincount(self.labels, minlength=len(self.class_names))

    def __repr__(self) -> str:
        spoilt = ", ".join(f"{name} {bad.mean():.0%}" for name, bad in self.spoilt.items())
        return f"{len(self)} {self.name}, {len(self.class_names)} kinds; spoilt: {spoilt}"


def cards(per_class: int, seed: int) -> Cards:
    """Make cards, as many of each kind.

    Whether a side is spoilt is drawn for each card and side independently of all else; three in ten are. A spoilt
    picture is out of focus until only colours are left, a spoilt description praises the toy and does not say what it
    does, a spoilt sound lies under loud noise. About 350 cards per second on one core.

    Parameters
    ----------
    per_class : int
        1 or more.
    seed : int
        0 or more.

    Returns
    -------
    Cards
        The kinds take turns, as in a `shapes.World`.

    Raises
    ------
    settings.UserError
        A value outside its range.

    Examples
    --------
    >>> shop = cards(per_class=2, seed=0)
    >>> shop.pictures.shape, shop.labels.tolist()
    ((12, 64, 64, 3), [0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5])
    """
    settings.require_whole(1, per_class=per_class)
    settings.require_whole(0, seed=seed)
    labels = np.tile(np.arange(len(KINDS), dtype=np.int64), per_class)
    look, action, noise = np.array(list(KINDS.values()), dtype=np.int64)[labels].T
    # One stream for each use: given the kind, the sides are independent.
    lots, wording, noises = (np.random.default_rng([seed, use]) for use in range(3))
    picture_seed, sound_seed = (int(number) for number in np.random.SeedSequence(seed).generate_state(2))
    spoilt = dict(zip(MODALITIES, lots.random((3, len(labels))) < SPOILT, strict=True))

    pictures = shapes.flower_pictures(look, picture_seed)
    pictures[spoilt["picture"]] = _out_of_focus(pictures[spoilt["picture"]])
    waveforms = sounds.waveforms(noise, sound_seed)
    hiss = noises.standard_normal(waveforms.shape, dtype=np.float32)
    waveforms[spoilt["sound"]] = _drowned(waveforms[spoilt["sound"]], hiss[spoilt["sound"]])
    spectrograms = sounds.spectrogram(waveforms)
    texts = tuple(_describe(one, bad, wording) for one, bad in zip(action, spoilt["text"], strict=True))
    return Cards(pictures, texts, spectrograms, labels, tuple(KINDS), np.arange(len(labels)), spoilt)


def _describe(action: int, vague: bool, rng: np.random.Generator) -> str:
    """Three template parts; the middle one tells the action, or praises."""
    opening, ending, praise = rng.choice(_OPENINGS), rng.choice(_ENDINGS), rng.choice(_VAGUE)
    deed = rng.choice(tuple(ACTIONS.values())[action])
    return f"{opening} {praise if vague else deed} {ending}"


def _out_of_focus(pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Blur with a Gaussian whose standard deviation is a seventh of the side: no outline is left."""
    from scipy.ndimage import gaussian_filter

    side = pictures.shape[1]
    return np.asarray(gaussian_filter(pictures, (0, side / 7, side / 7, 0), mode="nearest"), dtype=np.uint8)


def _drowned(waveforms: NDArray[np.float32], hiss: NDArray[np.float32]) -> NDArray[np.float32]:
    """Add noise with a hundred times the sound's power (20 dB louder), and turn the whole down to what it was."""
    power = [np.mean(wave**2, axis=1, keepdims=True) for wave in (waveforms, hiss)]
    mixed = waveforms + hiss * 10 * np.sqrt(power[0] / power[1])
    loudest = [np.abs(wave).max(axis=1, keepdims=True) for wave in (waveforms, mixed)]
    return mixed * loudest[0] / loudest[1]
