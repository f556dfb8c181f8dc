"""Check the exercises of lesson 10b."""

from __future__ import annotations

from typing import Any

import numpy as np

from tlutils.course.exercises import answers


def coral(answer: Any) -> str | None:
    """A function (source, target) -> source rows with the target's mean and, up to + I, its covariance."""

    def power(matrix: Any, p: float) -> Any:
        values, vectors = np.linalg.eigh(matrix)
        return vectors * values**p @ vectors.T

    rng = np.random.default_rng(7)
    source = rng.normal(size=(40, 3)) @ np.array([[2.0, 0.5, 0.0], [0.0, 1.0, -0.7], [0.3, 0.0, 0.6]]) + [1, -2, 0.5]
    target = rng.normal(size=(30, 3)) @ np.array([[0.7, 0.0, 0.4], [1.1, 2.5, 0.0], [0.0, -0.6, 1.3]]) + [-1, 3, 2]
    value = answers.as_array(answers.called(answer, "coral(source, target)", source.copy(), target.copy()))
    if value.shape == (len(target), 3):
        return "You move the target's rows. The labels belong to the source: move its rows."
    if value.shape != source.shape:
        return f"Return an array like source, of shape {source.shape}, not {value.shape}."
    cs, ct, one = np.cov(source, rowvar=False), np.cov(target, rowvar=False), np.eye(3)
    centred, ms, mt = source - source.mean(axis=0), source.mean(axis=0), target.mean(axis=0)
    whiten, colour = power(cs + one, -0.5), power(ct + one, 0.5)
    no_identity = "You forgot + I. Here the covariances have inverses; with fewer pictures than features they do not."
    order = "The order is transposed: rows stand left, so whiten first, S @ whiten @ recolour. The two do not commute."
    alone = "That moves the mean alone. If you whiten and recolour with the source's covariance, one undoes the other."
    mistakes = [
        (centred @ power(cs, -0.5) @ power(ct, 0.5) + mt, no_identity),
        (centred @ colour @ whiten + mt, order),
        (centred + mt, alone),
        (centred @ whiten + mt, "The rows are white now. Recolour them with the target's covariance."),
        ((source - mt) @ whiten @ colour + mt, "You centre with the target's mean. Centre the source with its own."),
        (source @ whiten @ colour, "The means are left as they fall. Centre first; add the target's mean at the end."),
        (source @ whiten @ colour + mt, "Centre the source rows with their own mean first."),
        (centred @ whiten @ colour, "You forgot to add the target's mean at the end."),
        (centred @ whiten @ colour + ms, "You add the source's mean. The rows shall lie where the target's lie."),
        (centred @ power(ct + one, -0.5) @ power(cs + one, 0.5) + mt, "Source and target are swapped in the roots."),
        (centred @ power(cs + one, 0.5) @ power(ct + one, -0.5) + mt, "The signs of the two exponents are swapped."),
        (centred @ power(cs + one, -1) @ (ct + one) + mt, "Take square roots: the exponents are -1/2 and 1/2."),
    ]
    otherwise = (
        "The means agree, the covariance does not: (S - mean) @ (Cs + I)^(-1/2) @ (Ct + I)^(1/2) + target's mean."
        if np.allclose(value.mean(axis=0), mt)
        else "The mean of the moved rows must be the target's. Centre with the source's mean, add the target's."
    )
    return answers.judge(value, centred @ whiten @ colour + mt, mistakes, otherwise)


def reverse(answer: Any) -> str | None:
    """A function (x, strength) -> x, whose derivative is -strength, on any backend of Keras."""
    import keras

    x = keras.ops.convert_to_tensor(np.array([[3.0]], dtype="float32"))
    value = answers.called(answer, "reverse(x, strength)", x, 0.5)
    try:
        forwards = float(np.ravel(keras.ops.convert_to_numpy(value))[0])
    except (TypeError, ValueError, IndexError):
        return f"Return a tensor like x, not {value!r}."
    if not np.isclose(forwards, 3.0):
        return f"Forwards nothing may change: for x = 3 and strength 0.5 you return {forwards:g}, not 3."
    slope = answers.run(_slope, "", answer, 0.5)
    if np.isclose(slope, -0.5, atol=1e-3):
        again = answers.run(_slope, "", answer, 2.0)
        return None if np.isclose(again, -2.0, atol=1e-3) else f"At strength 2 the derivative is {again:g}, not -2."
    if np.isclose(slope, 0.5, atol=1e-3):
        return "The sign: the derivative is +strength. The layer below would help the critic instead of fooling it."
    if np.isclose(slope, 0.0, atol=1e-3):
        return "The derivative is 0: all of x is under stop_gradient. A part must stay outside."
    if np.isclose(slope, 1.0, atol=1e-3):
        return "The derivative is 1: nothing is reversed."
    if np.isclose(slope, -1.0, atol=1e-3):
        return "The derivative is -1 whatever the strength: that is 2 stop(x) - x. Let strength take the place of 1."
    return f"At strength 0.5 the derivative is {slope:g}; it must be -0.5."


def _slope(answer: Any, strength: float) -> float:
    """Derivative of the reader's function, from one step of descent on a weight in front of it."""
    import keras

    class Reversed(keras.layers.Layer):
        def call(self, x: Any) -> Any:
            # Without the sum, a function that stops every gradient would leave the optimiser none at all.
            return answer(x, strength) + x

    inputs = keras.Input((1,))
    dense = keras.layers.Dense(1, use_bias=False, kernel_initializer="ones")
    model = keras.Model(inputs, Reversed()(dense(inputs)))
    # The loss is the output's mean, and the input is 1: the weight moves by minus the derivative of the sum.
    model.compile(keras.optimizers.SGD(1.0), loss=lambda _, output: keras.ops.mean(output), run_eagerly=True)
    model.train_on_batch(np.ones((1, 1), "float32"), np.zeros((1, 1), "float32"))
    return -float(keras.ops.convert_to_numpy(dense.kernel)[0, 0])


def control(answer: Any) -> str | None:
    """The control that each of four reports lacks."""
    options = ("the mean alone", "the network alone", "a weather left out", "a few labels")
    cases = {
        "A": (options[1], "A: two things differ between the linear head and the adversarial network. Take one away."),
        "B": (options[0], "B: CORAL moves two things. Ask which of them brought the 11 points."),
        "C": (options[2], "C: ask who drew the snow of the training, and who that of the test."),
        "D": (options[3], "D: ask what else could be done in two weeks."),
    }
    return answers.matched(answer, options, cases)
