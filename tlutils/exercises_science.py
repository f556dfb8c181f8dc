"""Check the exercises of lessons 04 to 06."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tlutils import answers


def _range_test(answer: Any) -> str | None:
    """04: (learning rate read from the curve, the range test): a tenth of the lowest point's, within half a decade."""
    import numpy as np

    rate, test = answer
    if rate is ... or rate is None:
        return answers.NOT_SOLVED
    if isinstance(rate, bool) or not isinstance(rate, int | float | np.number):
        return f"Give one number, a learning rate, not {rate!r}."
    if not np.isfinite(rate):
        return f"Give one finite number, a learning rate, not {rate!r}."
    if rate < 0:
        return f"A learning rate is above 0. If you read the exponent, write 1e{round(float(rate))}."
    lowest = float(test.rates[test.smoothed.argmin()])
    apart = float(np.log10(max(float(rate), 1e-30) / (lowest / 10)))
    if abs(apart) <= 0.5:
        return None
    if rate > test.rates[-1]:
        return f"{rate:g} lies to the right of the whole curve, which ends at {test.rates[-1]:.0e}. Look left."
    if apart > 1.5:
        return f"At {rate:g} the loss is on its way up: such steps are too long. Look left of the lowest point."
    if apart > 0.5:
        return f"{rate:g} is near the lowest point. There a longer step costs what it gains: go one decade to the left."
    if rate < test.rates[0]:
        return f"{rate:g} lies to the left of the whole curve. Read the rate under the lowest point, and divide by ten."
    return f"{rate:g} is safe but slow, {10**-apart:.0f} times below a tenth of the lowest point's rate. Go right."


def _freeze_batchnorm(answer: Any) -> str | None:
    """04: a function (model) -> number of BatchNormalization layers frozen, nested ones too, and nothing else."""
    import keras
    import numpy as np

    if not callable(answer):
        return "Define a function freeze_batchnorm(model)."
    layers = keras.layers
    # Named without "batch" or "bn": whoever goes by the name finds none.
    inner = keras.Sequential([keras.Input((6, 6, 4)), layers.Conv2D(4, 3), layers.BatchNormalization(name="inside")])
    model = keras.Sequential([keras.Input((8, 8, 3)), layers.Conv2D(4, 3), layers.BatchNormalization(name="outside")])
    for layer in (inner, layers.Flatten(), layers.Dense(2)):
        model.add(layer)
    norms = {"outside": model.get_layer("outside"), "inside": inner.get_layer("inside")}
    try:
        returned = answer(model)
    except Exception as error:
        return answers.stopped(error)
    before = {variable.path: variable.numpy() for variable in model.weights}
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, jit_compile=False)
    if not model.trainable_variables:
        return "Everything is frozen now, the convolutions too. Freeze the BatchNormalization layers alone."
    x = np.random.default_rng(0).normal(size=(8, 8, 8, 3)).astype("float32")
    model.fit(x, np.arange(8) % 2, verbose=0)

    def moved(variables: Any) -> bool:
        return any(not np.array_equal(before[variable.path], variable.numpy()) for variable in variables)

    statistics = {name: moved([norm.moving_mean, norm.moving_variance]) for name, norm in norms.items()}
    others = [v for v in model.weights if v.path.split("/")[-2] not in norms]
    if not all(moved([variable]) for variable in others):
        if any(statistics.values()):
            return "The wrong side: you froze other layers, and BatchNormalization trains on."
        return "Other layers are frozen, too. Freeze the BatchNormalization layers alone."
    if all(statistics.values()):
        if returned is None or returned is ...:
            return answers.NOT_SOLVED
        return "Nothing is frozen: after training, the statistics of both BatchNormalization layers have moved."
    if statistics["inside"]:
        return "The BatchNormalization layer of the nested model trains on. A layer of model.layers may be a model."
    if statistics["outside"]:
        return "The BatchNormalization layer inside the nested model is frozen, the one outside is not."
    if moved([variable for norm in norms.values() for variable in (norm.gamma, norm.beta)]):
        return "The statistics hold, but scale and shift still learn. Set trainable = False on the layers."
    if returned is None or returned is ...:
        return "Frozen as it should be. Now return how many layers you froze."
    if isinstance(returned, bool) or returned != 2:
        return f"Frozen as it should be, but the model has 2 BatchNormalization layers; you return {returned!r}."
    return None


def _per_class(answer: Any) -> str | None:
    """05: a function (matrix) -> precision, recall and F1 of each class; row: true class, column: predicted class."""
    import numpy as np

    matrix = np.array([[8, 2, 0], [1, 5, 4], [3, 0, 37]])
    returned, hint = answers.returned(answer, "per_class(matrix)", matrix.copy())
    if hint:
        return hint
    try:
        precision, recall, f1 = (np.asarray(part, dtype=float) for part in returned)
    except (TypeError, ValueError):
        return "Return three arrays: precision, recall, f1."
    hits = np.diag(matrix)
    by_column, by_row = hits / matrix.sum(axis=0), hits / matrix.sum(axis=1)
    for part in (precision, recall, f1):
        if part.shape != (3,):
            return f"Of three classes you return an array of shape {part.shape}; one number per class is asked for."
    if np.allclose(precision, by_row) and np.allclose(recall, by_column):
        return "Precision and recall are swapped: a column holds what was called c, a row what is c."
    if np.allclose(precision, hits / matrix.sum()):
        return "You divide by all pictures. Precision divides by the pictures that were called c: a column."
    if not np.allclose(precision, by_column):
        return "Precision is not right: divide the hits on the diagonal by the sums over each column."
    if not np.allclose(recall, by_row):
        return "Precision is right. Recall is not: divide the hits by the sums over each row."
    if np.allclose(f1, (precision + recall) / 2):
        return "F1 is the harmonic mean, 2PR / (P + R), not the arithmetic one."
    if not np.allclose(f1, 2 * precision * recall / (precision + recall)):
        return "Precision and recall are right. F1 is 2PR / (P + R), class by class."
    return None


def _ece(answer: Any) -> str | None:
    """05: a function (labels, probabilities, bins) -> expected calibration error."""
    import numpy as np

    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet((0.4, 0.4, 0.4), size=300)
    labels = np.where(rng.random(300) < 0.6, probabilities.argmax(axis=1), rng.integers(0, 3, size=300))
    found, hint = answers.returned(
        answer, "ece(labels, probabilities, bins=10)", labels.copy(), probabilities.copy(), 10
    )
    if hint:
        return hint
    if np.ndim(found) != 0:
        return f"Return one number, not an array of shape {np.shape(found)}: the weighted mean of the bins' gaps."
    try:
        found = float(found)
    except (TypeError, ValueError):
        return f"Return one number, not {found!r}."
    if np.isnan(found):
        return "That is NaN: some bins are empty. Leave out a bin without pictures."

    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    bin_of = np.ceil(confidence * 10)
    filled = [bin_of == number for number in np.unique(bin_of)]
    gaps = np.array([(right[chosen] - confidence[chosen]).mean() for chosen in filled])
    weights = np.array([chosen.mean() for chosen in filled])
    of_true = probabilities[np.arange(300), labels]
    hints = (
        (abs(weights @ gaps), "That lets gaps of one sign cancel those of the other: take |.| in every bin."),
        (np.abs(gaps).mean(), "That gives every bin the same weight: weight each by its share of the pictures."),
        (np.abs(gaps).sum() / 10, "That gives every bin the same weight: weight each by its share of the pictures."),
        (weights @ gaps**2, "Those are squared gaps: the ECE takes their absolute values."),
        (np.abs(right - confidence).mean(), "That compares picture by picture: average within each bin first."),
        (np.abs(1 - of_true).mean(), "That is the probability of the true class; confidence is the largest one."),
        (100 * weights @ np.abs(gaps), "That is in per cent; the ECE is a share, 0 to 1."),
        (len(labels) * weights @ np.abs(gaps), "That is the sum over the pictures: divide by their number."),
    )
    if np.isclose(found, weights @ np.abs(gaps)):
        return None
    matching = (hint for value, hint in hints if np.isclose(abs(found), value))
    return next(matching, f"Not {found:.3f}. Sort by the largest probability; |accuracy - confidence| in a bin.")


def _only_one_right(answer: Any) -> str | None:
    """05: a function (labels, first, second) -> pictures that only the first, and only the second model gets right."""
    import numpy as np

    labels = np.repeat([0, 1, 2], 10)
    first, second = labels.copy(), labels.copy()
    first[:7] = 1  # wrong alone in 4, together with the second in 3
    second[4:7], second[10:12] = 2, 0  # on these 3 with another class, and in 2 alone
    found, hint = answers.returned(
        answer, "only_one_right(labels, first, second)", labels.copy(), first.copy(), second.copy()
    )
    if hint:
        return hint
    hints: dict[tuple[int, ...], str] = {
        (4, 2): "The two counts are swapped: the first number belongs to the first model.",
        (7, 5): "You count the mistakes of each model. Leave out the pictures that both get wrong, and swap.",
        (5, 7): "You count all mistakes of the other model. A picture that both get wrong counts for neither.",
        (23, 25): "You count all that each model gets right. Leave out the pictures that both get right.",
        (9, 9): "You count the pictures on which the answers differ. One of the two answers must also be right.",
    }
    try:
        counts = tuple(int(count) for count in found)
    except (TypeError, ValueError):
        return "Return two counts: only the first right, only the second right."
    if counts == (2, 4):
        return None
    return hints.get(counts, f"Not {counts}. Combine two conditions picture by picture with &, then count the True.")


def _leep(answer: Any) -> str | None:
    """06: a function (theta, labels) -> LEEP."""
    import numpy as np

    rng = np.random.default_rng(0)
    theta, labels = rng.dirichlet((0.3, 0.5, 0.7, 0.4), size=60), np.arange(60) % 3
    theta[labels == 0, 0] += 1
    theta /= theta.sum(axis=1, keepdims=True)
    found, hint = answers.returned(answer, "leep(theta, labels)", theta.copy(), labels.copy())
    if hint:
        return hint
    if np.ndim(found) != 0:
        return f"Return one number, not an array of shape {np.shape(found)}: the mean over the pictures."
    if not np.issubdtype(np.asarray(found).dtype, np.floating):
        return f"Return one number, not {found!r}."

    members = np.eye(3)[labels]
    joint, picked = members.T @ theta, (np.arange(60), labels)
    expected = (theta @ (joint / joint.sum(axis=0)).T)[picked]
    right = np.log(expected).mean()
    chosen = np.eye(4)[theta.argmax(axis=1)]
    counts = members.T @ chosen
    hints = (
        (-right, "The sign is wrong: a log probability is 0 or less, and higher is better."),
        (np.log(expected).sum(), "That is the sum over the pictures: divide by their number."),
        (expected.mean(), "You average the probabilities. Take the logarithm of each picture's first."),
        (np.log(expected.mean()), "You take the logarithm of the mean. The mean of the logarithms is asked for."),
        (
            np.log((theta @ (joint / joint.sum(axis=1, keepdims=True)).T)[picked]).mean(),
            "You have divided by the sum over the source classes. P(y | z) sums to 1 over y: divide by the sum over "
            "the pictures, one for each source class.",
        ),
        (
            np.log((theta @ joint.T / 60)[picked]).mean(),
            "You have used the joint distribution P(y, z). Divide by P(z), the sum over the pictures of theta.",
        ),
        (
            np.log((chosen @ (counts / counts.sum(axis=0)).T)[picked]).mean(),
            "You have kept only the likeliest source class of each picture. LEEP weighs all of them by theta.",
        ),
    )
    if np.isclose(found, right):
        return None
    return next(
        (hint for value, hint in hints if np.isclose(found, value)),
        f"Not {float(found):.3f}. First P(y | z), one row per target class; then theta times its transpose; then the "
        "logarithm of the entry of the true label, averaged.",
    )


def _regret(answer: Any) -> str | None:
    """06: a function (scores, accuracies) -> what choosing by the score loses."""
    import numpy as np

    scores, accuracies = np.array([-3.0, -0.5, -1.0, -2.0]), np.array([0.80, 0.70, 0.84, 0.91])
    found, hint = answers.returned(answer, "regret(scores, accuracies)", scores.copy(), accuracies.copy())
    if hint:
        return hint
    hints = (
        (-0.21, "The sign is wrong: the best accuracy minus that of the chosen one, never below 0."),
        (0.70, "That is the accuracy of the chosen candidate. How much better is the best?"),
        (0.11, "You have chosen the candidate with the lowest score. Higher scores are better."),
        (1.41, "You have subtracted a score from an accuracy. Take the accuracy at the score's best place."),
        (1.5, "That is the difference of two scores. Regret is a difference of accuracies."),
        (0.0, "You compare the best with itself. The chosen candidate is the one with the best score."),
        (3, "That is a place in the ranking. Regret is a difference of accuracies."),
        (2, "That is a place in the ranking. Regret is a difference of accuracies."),
        (21, "That is in points; give a share, 0 to 1, like the accuracies."),
        (0.91 - accuracies.mean(), "That is the regret of choosing at random. Use the scores."),
    )
    if np.ndim(found) != 0:
        return f"Return one number, not an array of shape {np.shape(found)}."
    if not np.issubdtype(np.asarray(found).dtype, np.number):
        return f"Return one number, not {found!r}."
    if np.isclose(found, 0.21):
        return None
    return next(
        (hint for value, hint in hints if np.isclose(found, value)),
        f"Not {float(found):.3f}. The best accuracy of all, minus the accuracy of the candidate with the best score.",
    )


def _small_modules(answer: Any) -> str | None:
    """06: parameters of a 1x1 bottleneck, 64 channels to 8 and back, and of LoRA of rank 4 on a 3x3 kernel."""
    if not isinstance(answer, tuple) or len(answer) != 2:
        return "Give two whole numbers, the adapter's and LoRA's."
    if any(part is ... or part is None for part in answer):
        return answers.NOT_SOLVED
    if any(isinstance(part, bool) or not isinstance(part, int | float) or part % 1 != 0 for part in answer):
        return f"Give two whole numbers, not {answer!r}."
    adapter, lora = (int(part) for part in answer)
    down, up = 64 * 8 + 8, 8 * 64 + 64
    of_adapter = {
        down: "The adapter goes down to 8 channels and up again to 64. You have counted one way.",
        up: "The adapter goes down to 8 channels and up again to 64. You have counted one way.",
        2 * 64 * 8: "You forgot the adapter's biases: one for each output, 8 on the way down and 64 on the way up.",
        9 * 2 * 64 * 8: "The adapter's kernels are 1 x 1, not 3 x 3.",
        9 * 2 * 64 * 8 + 72: "The adapter's kernels are 1 x 1, not 3 x 3.",
        64 * 64 + 64: "That is one 1 x 1 convolution of 64 to 64 channels, without the bottleneck of width 8.",
    }
    of_lora = {
        9 * 64 * 128: "That is the kernel itself, which LoRA leaves as it is. Count its two thin factors.",
        9 * 64 * 128 + 128: "That is the whole convolution, which LoRA leaves as it is. Count the two thin factors.",
        64 * 4 + 4 * 128: "The first factor is as large as the kernel but for its outputs: 3 x 3 x 64 x 4.",
        9 * (64 * 4 + 4 * 128): "Only the first factor is 3 x 3. The second mixes channels at one place: 4 x 128.",
        9 * 64 * 4: "That is the first factor. The second brings 4 channels to 128.",
        4 * 128: "That is the second factor. The first is a 3 x 3 kernel from 64 channels to 4.",
        9 * 64 * 4 + 4 * 128 + 128: "LoRA's factors have no bias of their own.",
    }
    if adapter != down + up:
        return of_adapter.get(adapter, f"The adapter does not have {adapter:,}. Add two layers, weights and biases.")
    if lora != 9 * 64 * 4 + 4 * 128:
        hint = of_lora.get(lora, f"Not {lora:,}. The factors have shapes (3, 3, 64, rank) and (rank, 128).")
        return f"The adapter is right. {hint}"
    return None


CHECKS: dict[str, Callable[[Any], str | None]] = {
    "04_freeze_batchnorm": _freeze_batchnorm,
    "04_range_test": _range_test,
    "05_ece": _ece,
    "05_only_one_right": _only_one_right,
    "05_per_class": _per_class,
    "06_leep": _leep,
    "06_regret": _regret,
    "06_small_modules": _small_modules,
}
