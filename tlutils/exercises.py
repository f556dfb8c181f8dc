"""Check answers to the exercises; every check returns None for a right answer and a hint for a wrong one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def _place_the_cut(answer: Any) -> str | None:
    """00: the cut of vgg16_mini that leaves blocks 4 and 5 to be trained, and no other."""
    if answer == "block3_pool":
        return None
    if answer == "block4_pool":
        return "Behind block4_pool only block 5 is left; block 4 lies in front of it and stays frozen. Cut earlier."
    if answer == "block5_pool":
        return "Behind block5_pool no block is left: that is feature extraction. Blocks 4 and 5 must lie behind it."
    if answer in ("preprocess", "block1_pool", "block2_pool"):
        return f"Behind {answer} lies more than blocks 4 and 5, and all of it would be trained. Cut later."
    if not isinstance(answer, str):
        return f"Give the name of a layer in quotes, such as 'block1_pool', not {answer!r}."
    if answer.startswith("block3_conv"):
        return f"{answer} lies inside block 3. Cut where the block ends: four times fewer numbers to keep per picture."
    if answer.startswith("block4_conv"):
        return f"{answer} lies inside block 4: a part of the block would stay frozen. Cut between blocks."
    return f"{answer!r} is no cut point of vgg16_mini; the first column of the table above lists them."


def _trained_parameters(answer: Any) -> str | None:
    """01: parameters behind block3_pool of vgg16_mini, with a head of five outputs on 128 averaged channels."""
    block4 = 9 * 64 * 128 + 128 + 2 * (9 * 128 * 128 + 128)
    block5 = 3 * (9 * 128 * 128 + 128)
    head = 128 * 5 + 5
    right = block4 + block5 + head
    if isinstance(answer, bool) or not isinstance(answer, int | float) or answer != int(answer):
        return f"Give one whole number, not {answer!r}."
    hints = {
        block4 + block5: "That is the tail alone. The head is trained too: 128 averaged channels, five outputs.",
        block5 + head: "That is the cut at block4_pool. Block 4 lies behind block3_pool as well.",
        block5: "That is block 5 alone. Block 4 and the head lie behind the cut, too.",
        head: "That is the head alone: feature extraction. The tail is trained as well.",
        920_784 + head: "That is the whole network. What lies in front of the cut is frozen and does not count.",
        920_784 - block4 - block5: "Those are the frozen parameters, in front of the cut. Count those behind it.",
        right - 6 * 128 - 5: "You forgot the biases: every convolution has 128, the dense layer has 5.",
        right - 5: "Nearly: the dense layer has five biases.",
        2 * block5 + head: "The first convolution of block 4 takes 64 channels, not 128.",
        block4 + block5 + 4 * 128 * 5 + 5: "The head averages each map to one number first: 128 inputs, not 512.",
    }
    if answer == right:
        return None
    return hints.get(
        int(answer),
        f"It is not {int(answer):,}. Add up six convolutions, each of 9 x inputs x outputs weights and one bias per "
        "output, and a dense layer of 128 x 5 weights and 5 biases.",
    )


def _stopped(error: Exception) -> str:
    """Tell the reader what their function raised, with the first line of its message, if it has one."""
    first_line = next(iter(str(error).splitlines()), "")
    return f"The function stops with {type(error).__name__}: {first_line[:150]}"


def _returned(answer: Any, how: str, *arguments: Any) -> tuple[Any, str | None]:
    """Call the reader's function; return what it returns, and a hint where there is nothing to check."""
    if not callable(answer):
        return None, f"Define a function {how}."
    try:
        value = answer(*arguments)
    except Exception as error:
        return None, _stopped(error)
    return value, NOT_SOLVED if value is None or value is ... else None


def _crossing(answer: Any) -> str | None:
    """01: a function (sizes, transferred, scratch) -> first measured size where scratch is level, or "never"."""
    if not callable(answer):
        return "Define a function crossing(sizes, transferred, scratch)."
    sizes = [5, 10, 20, 50, 100]
    flat, steep = [0.7, 0.75, 0.8, 0.82, 0.84], [0.2, 0.4, 0.7, 0.85, 0.95]
    try:
        # A list: in a generator, an answer's StopIteration would surface under another name.
        meets, touches, first, never = [
            answer(sizes, *curves)
            for curves in ((flat, steep), (flat, [*steep[:2], 0.8, *steep[3:]]), (steep, flat), (flat, [0.1] * 5))
        ]
    except Exception as error:
        return _stopped(error)
    if meets is None and touches is None:
        return NOT_SOLVED
    if meets == 3:
        return "You return the position in the list. Return the size that stands there."
    if meets == 5 and first != 5:
        return "You return where transfer is ahead. Asked is where scratch has caught up."
    if meets == 20:
        return "That is the last size at which transfer is still ahead. Return the first at which scratch is level."
    if meets == 100:
        return "You return the last such size. Return the first."
    if meets != 50:
        return f"With {flat} against {steep} scratch is level from 50 labels per class on; you return {meets!r}."
    if touches != 20:
        return "Level counts as caught up: compare with >=, not with >."
    if first != 5:
        return f"Scratch may be level from the first size on; you return {first!r} then. The answer is that size."
    if isinstance(never, int | float):
        return f'The curves may not meet; you return {never!r} then. Nothing was measured there: answer "never".'
    if never != "never":
        return f'The curves may not meet; you return {never!r} then. Return the word "never".'
    return None


def _called(answer: Any, how: str, *arguments: Any) -> Any:
    """Call the reader's function; return what it returns as an array, None for a stub, or a hint."""
    import numpy as np

    if not callable(answer):
        return f"Define a function {how}."
    try:
        value = answer(*arguments)
        return None if value is None or value is ... else np.asarray(value, dtype=np.float64)
    except Exception as error:
        return _stopped(error)


def _update(answer: Any) -> str | None:
    """02: a function (theta, x, y, learning_rate) -> theta after one step of descent on half the mean squared error."""
    import numpy as np

    theta, rate = np.array([0.5, -1.0, 2.0]), 0.1
    x = np.array([[1.0, 2.0, 0.0], [0.0, -1.0, 1.0], [3.0, 1.0, -1.0], [-2.0, 0.5, 1.5]])
    y = np.array([1.0, -2.0, 0.5, 3.0])
    start = theta.copy()
    value = _called(answer, "update(theta, x, y, learning_rate)", theta, x, y, rate)
    if value is None:
        return NOT_SOLVED
    if isinstance(value, str):
        return value
    if not np.array_equal(theta, start):
        return "You change theta in place, so that the caller loses it: theta -= ... does. Return a new array."
    if value.shape != theta.shape:
        return f"theta has shape {theta.shape}, what you return {value.shape}. Sum over the examples, not over theta."
    summed = x.T @ (x @ theta - y)
    mean = summed / len(y)
    hints = [
        (theta + rate * mean, "The sign: that climbs. The gradient points uphill; subtract it."),
        (theta - rate * summed, "You forgot the mean: divide by the number of examples."),
        (theta + rate * summed, "Two mistakes: the sign, since that climbs, and the mean is forgotten."),
        (theta - 2 * rate * mean, "Twice too far: the half in front of the square cancels the 2 of its derivative."),
        (theta - mean, "You forgot the learning rate."),
        (mean, "That is the gradient. The update is theta minus learning_rate times it."),
        (-rate * mean, "That is the step alone. Add it to theta."),
        (theta, "You do not move. A prediction in the place of the label y makes the error zero."),
        (theta - rate * x.mean(axis=0) * (x @ theta - y).mean(), "Multiply error and input first, then average."),
    ]
    if np.allclose(value, theta - rate * mean, rtol=1e-6, atol=1e-9):
        return None
    for wrong, hint in hints:
        if np.allclose(value, wrong, rtol=1e-6, atol=1e-9):
            return hint
    return (
        "Not the right numbers. Chain rule: derive the square by the error, the error by f, and f = x theta by theta."
    )


def _mask(answer: Any) -> str | None:
    """02: a function (sizes, frozen_blocks) -> 0 for every parameter of the first blocks, 1 for the others."""
    import numpy as np

    sizes, cut = [3, 2, 1, 2], 2
    value = _called(answer, "mask(sizes, frozen_blocks)", sizes, cut)
    if value is None:
        return NOT_SOLVED
    if isinstance(value, str):
        return value
    right = np.repeat([0, 0, 1, 1], sizes)
    if value.shape == (len(sizes),):
        return "You return one number per block. Return one per parameter: a block of 3 parameters has 3 entries."
    if value.shape != right.shape:
        return f"With the sizes {sizes} there are {sum(sizes)} parameters; you return the shape {value.shape}."
    if np.array_equal(value, 1 - right):
        return "The mask is on the wrong side: 1 lets a parameter move, and the first blocks shall stay."
    hints = {1: "Off by one block: you freeze one too few.", 3: "Off by one block: you freeze one too many."}
    for frozen, hint in hints.items():
        if np.array_equal(value, np.repeat(np.arange(4) >= frozen, sizes)):
            return hint
    if np.array_equal(value, np.arange(8) >= cut):
        return f"You freeze {cut} parameters. Freeze {cut} blocks, whatever their sizes."
    if not np.array_equal(value, right):
        return f"With the sizes {sizes} and {cut} frozen blocks you return {value.tolist()}."
    if not all(np.array_equal(_called(answer, "", sizes, k), np.repeat(np.arange(4) >= k, sizes)) for k in (0, 4)):
        return "Right in the middle. Try frozen_blocks=0, where all is trained, and 4, where nothing is."
    return None


def _l2_sp_gradient(answer: Any) -> str | None:
    """02: a function (gradient, theta, theta_source, shared, pull, decay) -> the gradient of the penalised loss."""
    import numpy as np

    gradient, theta = np.array([0.3, -0.2, 0.5, 1.0]), np.array([1.0, 2.0, -1.0, 4.0])
    source, shared = np.array([0.5, 3.0, 7.0, 9.0]), np.array([True, True, False, False])
    how = "l2_sp_gradient(gradient, theta, theta_source, shared, pull, decay)"
    value = _called(answer, how, gradient, theta, source, shared, 0.1, 0.01)
    if value is None:
        return NOT_SOLVED
    if isinstance(value, str):
        return value
    if value.shape != theta.shape:
        return f"theta has shape {theta.shape}, what you return {value.shape}. A gradient has one entry per parameter."
    spring, shrink = 0.1 * (theta - source), 0.01 * theta
    right = gradient + np.where(shared, spring, shrink)
    hints = [
        (gradient - np.where(shared, spring, 0) + np.where(shared, 0, shrink), "The sign of the pull: it drives away."),
        (gradient - np.where(shared, spring, shrink), "The sign: this penalty drives away from the source."),
        (gradient + np.where(shared, 2 * spring, 2 * shrink), "The half in the penalty cancels the 2 of the square."),
        (gradient + np.where(shared, spring, 0), "The new parameters lack their decay towards zero."),
        (gradient + spring, "New parameters have no source value; they decay towards zero instead."),
        (gradient + np.where(shared, 0.1 * theta, shrink), "That is plain L2. Shared ones are pulled to the source."),
        (gradient + np.where(shared, shrink, spring), "The mask is on the wrong side: pull the shared ones."),
        (gradient + spring + shrink, "Each parameter gets one of the two terms: pull if it is shared, decay if new."),
        (np.where(shared, spring, shrink), "That is the gradient of the penalty alone. Add that of the loss."),
    ]
    if np.allclose(value, right, rtol=1e-6, atol=1e-9):
        return None
    for wrong, hint in hints:
        if np.allclose(value, wrong, rtol=1e-6, atol=1e-9):
            return hint
    return "Not the right numbers. Shared: gradient + pull * (theta - theta_source). New: gradient + decay * theta."


def _head_parameters(answer: Any) -> str | None:
    """03: parameters of the published head and of the pooled one, for 7 x 7 x 512 activations and five classes."""
    published, pooled = answer
    if published is ... or pooled is ...:
        return "Give both numbers."
    right_published, right_pooled = 25_088 * 512 + 512 + 512 * 5 + 5, 512 * 5 + 5
    if published == 25_088 * 512 + 512 * 5:
        return "You forgot the biases: every unit of a dense layer has one, 512 in the first layer and 5 in the second."
    if published == 25_088 * 512 + 512:
        return "That is the first dense layer alone; Dense(5) has parameters too."
    if published != right_published:
        return (
            f"The published head has not {published:,} parameters. Flatten turns 7 x 7 x 512 into one vector; "
            "a dense layer has inputs x units weights and one bias per unit."
        )
    if pooled == 512 * 5:
        return "The published head is right. The pooled one lacks its 5 biases."
    if pooled == right_published or pooled == 25_088 * 5 + 5:
        return "The published head is right. Pooling keeps one number per channel: 512 inputs, not 25,088."
    if pooled != right_pooled:
        return f"The published head is right. The pooled one has not {pooled:,}: it joins 512 means to 5 classes."
    return None


def _affordable_cut(answer: Any) -> str | None:
    """03: the earliest cut of vgg16_mini that leaves at most 500,000 parameters behind it."""
    if answer == "block4_pool":
        return None
    if answer == "block5_pool":
        return "Behind block5_pool there is nothing to train. You can afford more: count block 5."
    if answer == "block3_pool":
        return "One block too many: behind block3_pool lie blocks 4 and 5, 369,024 + 442,752 parameters."
    if answer in ("block1_pool", "block2_pool", "preprocess"):
        return "The budget bites at the end: the last blocks hold most of the parameters. Count block 5, then block 4."
    if isinstance(answer, str) and answer.startswith("block"):
        return f"{answer!r} is no cut point; the cut points are preprocess and block1_pool to block5_pool."
    return f"Answer with the name of a cut point, such as 'block2_pool', not {answer!r}."


def _repaired_program(answer: Any) -> str | None:
    """03: a function (base, n_classes) -> compiled model without the faults 1, 2, 3 and 7."""
    import keras
    import numpy as np

    if not callable(answer):
        return "Define a function repaired(base, n_classes)."
    base = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3, name="block1_conv1")])
    before = [np.array(value) for value in base.get_weights()]
    try:
        model = answer(base, 3)
    except Exception as error:
        return _stopped(error)
    if model is None:
        return NOT_SOLVED
    if not isinstance(model, keras.Model) or not model.built:
        return "Return a keras.Model that knows its input shape; the base has one, so do not wrap it in a Lambda."
    if model.output_shape[-1] != 3:
        return f"The model has {model.output_shape[-1]} outputs; it should have n_classes, here 3."
    if any(isinstance(layer, keras.layers.Flatten) for layer in model._flatten_layers()):
        return "Fault 7 is still there: Flatten keeps every position. Pool globally before the dense layer."
    if not model.compiled:
        return "Compile the model inside the function: optimiser, loss, metrics."
    if not model.trainable_variables:
        return "Everything is frozen, the new head too; only the base should be."
    rng = np.random.default_rng(0)
    pictures = rng.normal(size=(12, 8, 8, 3)).astype("float32")
    labels = np.arange(12) % 3
    wanted: Any = labels if "sparse" in str(getattr(model, "loss", "")).lower() else np.eye(3)[labels]
    try:
        model.fit(pictures, wanted, epochs=2, verbose=0)
    except Exception as error:
        return f"The model does not train: {str(error).splitlines()[0][:150]}"
    if any(not np.array_equal(a, b) for a, b in zip(before, base.get_weights(), strict=True)):
        return "Fault 1 is still there: the base's weights moved. Set base.trainable = False before compile."
    if float(np.asarray(model.optimizer.learning_rate)) > 0.05:
        return (
            f"A learning rate of {float(np.asarray(model.optimizer.learning_rate)):g} is too large for Adam; try 1e-3."
        )
    return None


def _range_test(answer: Any) -> str | None:
    """04: (learning rate read from the curve, the range test): a tenth of the lowest point's, within half a decade."""
    import numpy as np

    rate, test = answer
    if rate is ... or rate is None:
        return NOT_SOLVED
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
        return _stopped(error)
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
            return NOT_SOLVED
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
    returned, hint = _returned(answer, "per_class(matrix)", matrix.copy())
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
    found, hint = _returned(answer, "ece(labels, probabilities, bins=10)", labels.copy(), probabilities.copy(), 10)
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
    found, hint = _returned(answer, "only_one_right(labels, first, second)", labels.copy(), first.copy(), second.copy())
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
    found, hint = _returned(answer, "leep(theta, labels)", theta.copy(), labels.copy())
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
    found, hint = _returned(answer, "regret(scores, accuracies)", scores.copy(), accuracies.copy())
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
        return NOT_SOLVED
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


NOT_SOLVED = "Not solved yet. Write your answer into the cell above and run it again."

CHECKS: dict[str, Callable[[Any], str | None]] = {
    "00_place_the_cut": _place_the_cut,
    "01_crossing": _crossing,
    "01_trained_parameters": _trained_parameters,
    "02_l2_sp_gradient": _l2_sp_gradient,
    "02_mask": _mask,
    "02_update": _update,
    "03_affordable_cut": _affordable_cut,
    "03_head_parameters": _head_parameters,
    "03_repaired_program": _repaired_program,
    "04_freeze_batchnorm": _freeze_batchnorm,
    "04_range_test": _range_test,
    "05_ece": _ece,
    "05_only_one_right": _only_one_right,
    "05_per_class": _per_class,
    "06_leep": _leep,
    "06_regret": _regret,
    "06_small_modules": _small_modules,
}
