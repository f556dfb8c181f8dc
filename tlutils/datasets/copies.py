"""Find pictures that are nearly the same: resized, recompressed, mirrored or turned copies, frames of one scene."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL import Image

# Bits of the hash are SIDE * SIDE, of a picture that was shrunk to twice that side.
_SIDE = 16
# See `alike` for what was measured.
MOST_BITS = 12
_MOST_TONE = 32
# Grey levels: the hash of a picture without contrast is the hash of its noise.
_LEAST_CONTRAST = 12


@dataclass(frozen=True, slots=True)
class Look:
    """How a picture looks from afar: 32x32 grey values, and its mean colour (0 to 255)."""

    grey: bytes
    tone: tuple[int, int, int]


def look(picture: Image.Image) -> Look | None:
    """Shrink a picture to what its perceptual hash needs, or to None if it is blank.

    Parameters
    ----------
    picture : PIL image, RGB

    Returns
    -------
    Look or None
    """
    from PIL import Image

    side = 2 * _SIDE
    # reducing_gap averages whole blocks first: a fraction of the time of a filter that is laid over all pixels.
    small = picture.resize((side, side), Image.Resampling.BILINEAR, reducing_gap=1.0)
    grey = small.convert("L")
    darkest, brightest = cast("tuple[int, int]", grey.getextrema())
    if brightest - darkest < _LEAST_CONTRAST:
        return None
    red, green, blue = small.resize((1, 1), Image.Resampling.BOX).tobytes()
    return Look(grey.tobytes(), (red, green, blue))


def hashes(looks: Sequence[Look]) -> NDArray[np.bool_]:
    """Compute the perceptual hash of every picture: which of the 16x16 lowest frequencies are above their median.

    The numbers are those of ``imagehash.phash(picture, hash_size=16, highfreq_factor=2)``. That takes one picture at a
    time, and made the reading of 10,000 small photographs a tenth longer than all of them together do here.

    Parameters
    ----------
    looks : sequence of Look, length n

    Returns
    -------
    bool array, shape (8, n, 256)
        Upright first, then mirrored and turned in all seven ways, which changes signs of frequencies and their order.
    """
    from scipy.fft import dct

    side = 2 * _SIDE
    waves = dct(np.eye(side), axis=0)[:_SIDE].astype(np.float32)
    signs = np.where(np.arange(_SIDE) % 2, -1, 1).astype(np.float32)
    found = np.empty((8, len(looks), _SIDE * _SIDE), dtype=bool)
    for start in range(0, len(looks), 4096):
        part = looks[start : start + 4096]
        grey = np.frombuffer(b"".join(one.grey for one in part), dtype=np.uint8).reshape(len(part), side, side)
        low = waves @ grey.astype(np.float32) @ waves.T
        turned = [one * down * across for one in (low, low.mT) for down in (1, signs[:, None]) for across in (1, signs)]
        for way, frequencies in enumerate(turned):
            flat = frequencies.reshape(len(part), -1)
            found[way, start : start + len(part)] = flat > np.median(flat, axis=1, keepdims=True)
    return found


def alike(looks: Sequence[Look | None]) -> NDArray[np.int64]:
    """Number the sets of pictures that are nearly the same, however long the chain; blank pictures stay alone.

    Two pictures are nearly the same if their hashes differ in `MOST_BITS` of 256 bits or fewer, also after one of them
    is mirrored or turned by quarter turns, and no channel of their mean colours by more than 32 of 255. Measured on 500
    flowers and 120 outdoor photographs: one pair of flowers is joined, which is the same photograph twice, and 205
    pairs of frames, each of one webcam at one time of the day. No two clearly different pictures are joined; a
    photograph and a painting made of it are 20 bits apart, the next flowers 76, a flower and an outdoor scene 84. Of
    their copies were joined: half the size 97 %, 64 pixels wide 97 %, twice the size 99.7 %, JPEG quality 50 and 20
    99.8 and 98.9 %, 10 % brighter and darker 99.0 and 99.8 %, 15 % more contrast 99.7 %, without colours 65 %, mirrored
    and upside down 96 and 99 %, turned by 90, 180 and 270 degrees 96, 84 and 99 %. None of those turned by 10 degrees,
    or cropped by 3 % a side: such copies need names that say so (`layouts.sources`), or `groups`. Pictures that are
    smooth all over, such as blurred ones, have few sure bits, and copies of them may be missed.

    Every pair within `MOST_BITS` agrees in one of ``MOST_BITS + 1`` parts of the hash at least (Norouzi, Punjani &
    Fleet 2012, "Fast search in Hamming space with multi-index hashing"), so only those that share a part are compared.

    Parameters
    ----------
    looks : sequence of Look or None, length n

    Returns
    -------
    int64 array, shape (n,)
    """
    seen = np.flatnonzero([one is not None for one in looks])
    kept = [one for one in looks if one is not None]
    numbers = np.arange(len(looks), dtype=np.int64)
    if kept:
        tones = np.array([one.tone for one in kept], dtype=np.int16)
        numbers[seen] = seen[joined(hashes(kept).reshape(-1, _SIDE * _SIDE), tones)]
    return numbers


def joined(bits: NDArray[np.bool_], tones: NDArray[np.int16]) -> NDArray[np.int64]:
    """Number the sets of near rows; see `alike`.

    Parameters
    ----------
    bits : bool array, shape (n, 256), or (8 n, 256)
        Behind the n rows may stand the same pictures in other positions, each time all n. A row that is near to such a
        one is near to its picture.
    tones : int16 array, shape (n, 3)

    Returns
    -------
    int64 array, shape (n,)
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n = len(tones)
    words = np.packbits(bits, axis=1).view(np.uint64)
    edges = [np.empty((2, 0), dtype=np.int64)]
    for part in range(MOST_BITS + 1):
        # Every 13th bit: neighbouring frequencies are alike, so that a run of bits would tell pictures apart less well.
        key = np.packbits(bits[:, part :: MOST_BITS + 1], axis=1)
        order = np.lexsort(key.T)
        same = (key[order][1:] == key[order][:-1]).all(axis=1)
        for start, stop in _runs(same):
            edges += _pairs(order[start:stop], words, tones)
    rows, columns = np.concatenate(edges, axis=1) % n
    graph = coo_array((np.ones(len(rows), dtype=bool), (rows, columns)), shape=(n, n))
    return np.asarray(connected_components(graph, directed=False)[1], dtype=np.int64)


def _runs(same: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Start and stop of each run of equal neighbours in a sorted list, given whether each equals the one before."""
    change = np.flatnonzero(np.diff(np.concatenate([[False], same, [False]])))
    return [(int(start), int(stop) + 1) for start, stop in change.reshape(-1, 2)]


def _pairs(members: NDArray[np.int64], words: NDArray[np.uint64], tones: NDArray[np.int16]) -> list[NDArray[np.int64]]:
    """Pairs of nearly the same rows among members, one of them upright, as arrays of shape (2, number)."""
    found = []
    n = len(tones)
    # The upright rows come first, and two that are not make a pair whenever two upright ones do.
    while len(members) > 1 and members[0] < n:
        first, members = members[0], members[1:]
        apart = np.bitwise_count(words[members] ^ words[first]).sum(axis=1)
        tone = np.abs(tones[members % n] - tones[first]).max(axis=1)
        near = (apart <= MOST_BITS) & (tone <= _MOST_TONE)
        found.append(np.stack([np.full(near.sum(), first), members[near]]))
        # What is the same in every bit and tone has the same neighbours; without it a thousand copies take no square.
        members = members[~(near & (apart == 0) & (tone == 0))]
    return found
