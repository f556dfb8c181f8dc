"""Check the exercises of lesson 10."""

from __future__ import annotations

from typing import Any

import numpy as np

from tlutils.course.exercises import answers


def fogged(answer: Any) -> str | None:
    """A function (light, depth, visibility, air) -> the light in fog, by Koschmieder's law."""
    how = "fogged(light, depth, visibility, air)"
    light = np.linspace(0.05, 0.9, 24).reshape(2, 4, 3)
    depth = np.array([[10.0, 20.0, 40.0, 80.0], [5.0, 60.0, 120.0, 300.0]])
    air = np.array([0.7, 0.75, 0.8])
    through = np.exp(-3.912 / 150 * depth)[..., None]
    right = light * through + air * (1 - through)
    twice, tenth, plain = np.exp(-150 / 3.912 * depth)[..., None], 10 ** (-3.912 / 150 * depth)[..., None], light
    without = np.exp(-depth / 150)[..., None]
    mistakes = [
        (air * through + plain * (1 - through), "Light and air are swapped: what is near keeps its own light."),
        (light * through, "The lit air is missing: far things would turn black, not pale. Add air * (1 - t)."),
        (light * through + air, "The air counts as much near as far. Multiply it by 1 - t."),
        (light + air * (1 - through), "The light of the thing does not fade. Multiply it by t."),
        (light * without + air * (1 - without), "The 3.912 is missing: beta is 3.912 / visibility."),
        (light * twice + air * (1 - twice), "Beta is upside down: the farther one sees, the smaller it is."),
        (light * tenth + air * (1 - tenth), "That is a power of 10. Take e: np.exp(-beta * depth)."),
        (light / through + air * (1 - 1 / through), "The sign is wrong: t falls with the distance, exp(-beta d)."),
    ]
    shape = "Return an array like light, of shape (2, 4, 3), not {shape}. Give depth a last axis: depth[..., None]."
    otherwise = "Not yet. With t = exp(-beta * depth), return light * t + air * (1 - t)."
    value = answers.called(answer, how, light.copy(), depth.copy(), 150.0, air.copy())
    hint = answers.judge(value, right, mistakes, otherwise, shape=shape)
    far = np.exp(-3.912 / 40 * depth)[..., None]
    if hint is None and not answers.gives(answer, light * far + 0.5 * (1 - far), light, depth, 40.0, np.full(3, 0.5)):
        return "Right for one fog, but another one goes wrong. Use visibility and air as they are given."
    return hint


def lacking(answer: Any) -> str | None:
    """What each of four reports on driving lacks."""
    options = ("new scenes", "an opponent", "more severities", "more drives")
    cases = {
        "A": (options[1], "A: ask what else could give 0.85 on clear days and 0.80 in rain, without photographs."),
        "B": (options[0], "B: ask where else the test frames' neighbours are."),
        "C": (options[2], "C: ask at which point of the curve fog was measured, and who chose it."),
        "D": (options[3], "D: ask how many independent examples of a gravel road there are."),
    }
    return answers.matched(answer, options, cases)
