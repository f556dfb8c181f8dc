"""Every exercise knows the right answer, found here in another way, and has a hint of its own for each usual error."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from sklearn.metrics import precision_recall_fscore_support

from tlutils import course, cut, tuning
from tlutils.evaluation import calibration, comparison
from tlutils.models import backbones
from tlutils.selection import transferability
from tlutils.tuning import learning_rates

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")
norm = np.linalg.norm


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> Callable[[str, Any], str]:
    """What a reader is told about an answer."""

    def told(exercise: str, answer: Any) -> str:
        course.check(exercise, answer)
        return str(ast.literal_eval(capsys.readouterr().out)["text/plain"])

    return told


# 01


def level(sizes: Any, transferred: Any, scratch: Any, never: Any = "never") -> Any:
    return next((n for n, a, b in zip(sizes, transferred, scratch, strict=True) if b >= a), never)


def control(weights: Any = "random", head: Any = "the same", labels: Any = "the same") -> dict[str, Any]:
    return {"weights": weights, "head": head, "labels": labels}


# 02


FAULTS = {"A": "climbs", "B": "wrong task", "C": "no label", "D": "no fault", "E": "no label"}


def update(t: Any, x: Any, y: Any, rate: float) -> Any:
    return t - rate * (x @ t - y) @ x / len(y)


def update_in_place(t: Any, x: Any, y: Any, rate: float) -> Any:
    t -= rate * (x @ t - y) @ x / len(y)
    return t


def mask(sizes: Any, frozen_blocks: int) -> Any:
    return np.repeat(np.arange(len(sizes)) >= frozen_blocks, sizes)


def mask_only_in_the_middle(sizes: Any, frozen_blocks: int) -> Any:
    return np.concatenate([np.zeros(sum(sizes[:frozen_blocks])), np.ones(max(1, sum(sizes[frozen_blocks:])))])


# 03

PUBLISHED = 12_848_133  # 25,088 x 512 + 512 + 512 x 5 + 5, by hand
POOLED = 2_565  # 512 x 5 + 5


def program(
    *,
    frozen: bool = True,
    flat: bool = False,
    raw: bool = False,
    outputs: int = 0,
    loss: Any = "sparse_categorical_crossentropy",
    rate: float = 0.01,
    metrics: Any = ("accuracy",),
) -> Callable[[keras.Model, keras.Model, int], keras.Model]:
    """Return a solution with some of the usual mistakes in it."""

    def repaired(preprocess: keras.Model, base: keras.Model, n_classes: int) -> keras.Model:
        base.trainable = not frozen
        pool = keras.layers.Flatten() if flat else keras.layers.GlobalAveragePooling2D()
        top = [pool, keras.layers.Dense(outputs or n_classes, activation="softmax")]
        model = keras.Sequential([*([] if raw else [preprocess]), base, *top])
        if loss:
            model.compile(keras.optimizers.Adam(rate), loss=loss, metrics=list(metrics))
        return model

    return repaired


def divided_by_255(preprocess: keras.Model, base: keras.Model, n_classes: int) -> keras.Model:
    return program()(keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Rescaling(1 / 255)]), base, n_classes)


def scaled_twice(preprocess: keras.Model, base: keras.Model, n_classes: int) -> keras.Model:
    return program()(keras.Sequential([preprocess, keras.layers.Rescaling(1 / 255)]), base, n_classes)


def not_pooled(preprocess: keras.Model, base: keras.Model, n_classes: int) -> keras.Model:
    model = keras.Sequential([preprocess, base, keras.layers.Dense(n_classes, activation="softmax")])
    model.compile("adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def without_softmax(preprocess: keras.Model, base: keras.Model, n_classes: int) -> keras.Model:
    base.trainable = False
    top = [keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(n_classes)]
    model = keras.Sequential([preprocess, base, *top])
    model.compile(keras.optimizers.Adam(0.01), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def all_frozen(preprocess: keras.Model, base: keras.Model, n_classes: int) -> keras.Model:
    model = program()(preprocess, base, n_classes)
    model.trainable = False
    return model


# 04


def earliest(means: Any, error: float) -> int:
    return next(cut for cut, mean in enumerate(means) if mean >= max(means) - error)


def where_to_cut(pretrained: Any, untrained: Any) -> Any:
    means = [float(np.mean(column)) for column in np.transpose(pretrained)]
    best = pretrained[:, int(np.argmax(means))]
    cut = earliest(means, np.sqrt(best.var(ddof=1) / len(best)))
    return cut if means[cut] > np.mean(untrained, axis=0).max() else "untrained"


def where_whatever_the_control(pretrained: Any, untrained: Any) -> int:
    return int(where_to_cut(pretrained, np.zeros_like(untrained)))


def where_by_the_deviation(pretrained: Any, untrained: Any) -> int:
    means = pretrained.mean(axis=0)
    return earliest(means, pretrained[:, means.argmax()].std(ddof=1))


def where_any_draw_is_best(pretrained: Any, untrained: Any) -> int:
    return earliest(pretrained.max(axis=0), 0.04) if pretrained.max() > 0.85 else 2


def where_the_same_cut_is_behind(pretrained: Any, untrained: Any) -> Any:
    cut = where_whatever_the_control(pretrained, untrained)
    return cut if pretrained[:, cut].mean() > untrained[:, cut].mean() else "untrained"


def where_none_is_better(pretrained: Any, untrained: Any) -> Any:
    cut = where_whatever_the_control(pretrained, untrained)
    return cut if pretrained[:, cut].mean() > untrained.mean(axis=0).max() - 0.02 else "untrained"


# 05

RATES = np.geomspace(1e-5, 1, 101)
# The loss is lowest at 1e-2; training explodes at 1.
CURVE = learning_rates.RangeTest(RATES, 1 + (np.log10(RATES) + 2) ** 2, 1 + (np.log10(RATES) + 2) ** 2, 1e-3)


def freeze_as_in_the_lesson(model: keras.Model) -> int:
    frozen = 0
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            frozen += freeze_as_in_the_lesson(layer)
        elif is_norm(layer):
            layer.trainable = False
            frozen += 1
    return frozen


def freezing(chosen: Callable[[keras.layers.Layer], bool], answer: Any = 2, nested: bool = True) -> Callable[..., Any]:
    """Return a function that freezes the chosen layers and returns the answer."""

    def freeze(model: keras.Model) -> Any:
        layers = model._flatten_layers(include_self=False) if nested else model.layers
        for layer in layers:
            if not isinstance(layer, keras.Model) and chosen(layer):
                layer.trainable = False
        return answer

    return freeze


def is_norm(layer: keras.layers.Layer) -> bool:
    return isinstance(layer, keras.layers.BatchNormalization)


def freeze_everything(model: keras.Model) -> int:
    model.trainable = False
    return 2


def freeze_the_statistics_alone(model: keras.Model) -> int:
    for layer in model._flatten_layers():
        if is_norm(layer):
            layer.momentum = 1.0
    return 2


# 06


def per_class_by_scikit_learn(matrix: Any) -> Any:
    """Unroll the matrix into pictures and let scikit-learn count them again."""
    true, predicted = np.indices(matrix.shape)
    counts = matrix.ravel()
    return precision_recall_fscore_support(true.ravel().repeat(counts), predicted.ravel().repeat(counts))[:3]


def per_class(matrix: Any) -> Any:
    hits = np.diag(matrix)
    precision, recall = hits / matrix.sum(axis=0), hits / matrix.sum(axis=1)
    return precision, recall, 2 * precision * recall / (precision + recall)


def gaps(labels: Any, probabilities: Any, bins: int) -> Any:
    """Return the signed gap and the share of the pictures of every bin that is not empty."""
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    edges = np.linspace(0, 1, bins + 1)
    inside = [(confidence > low) & (confidence <= high) for low, high in zip(edges[:-1], edges[1:], strict=True)]
    kept = [chosen for chosen in inside if chosen.any()]
    found = [(right[chosen].mean() - confidence[chosen].mean(), chosen.mean()) for chosen in kept]
    return np.array(found).T


def ece(labels: Any, probabilities: Any, bins: int) -> Any:
    return calibration.reliability(labels, probabilities).ece


def only_one_right(labels: Any, first: Any, second: Any) -> tuple[int, int]:
    pairs = [(one == true, two == true) for true, one, two in zip(labels, first, second, strict=True)]
    return pairs.count((True, False)), pairs.count((False, True))


def only_one_right_by_package(labels: Any, first: Any, second: Any) -> tuple[int, int]:
    test = comparison.mcnemar(labels, first, second)
    return test.only_first, test.only_second


# 08


def leep_terms(theta: Any, labels: Any) -> Any:
    """Return the expected probability of each picture's label, slowly, from the definition."""
    values = []
    for row, label in zip(theta, labels, strict=True):
        of_label = [theta[labels == label, z].sum() / theta[:, z].sum() for z in range(theta.shape[1])]
        values.append(sum(p * share for p, share in zip(of_label, row, strict=True)))
    return np.array(values)


def leep_with(theta: Any, labels: Any, axis: int | None = 0) -> float:
    """Compute LEEP with a table that is divided along an axis, or not at all."""
    joint = np.array([theta[labels == label].sum(axis=0) for label in np.unique(labels)])
    table = joint / (joint.sum(axis=axis, keepdims=True) if axis is not None else joint.sum())
    return float(np.log((theta @ table.T)[np.arange(len(labels)), labels]).mean())


# 10


def in_fog(light: Any, depth: Any, visibility: Any, air: Any) -> Any:
    through = np.exp(-3.912 / visibility * depth)[..., None]
    return light * through + air * (1 - through)


def on_roads(**wrong: str) -> dict[str, str]:
    return {"A": "an opponent", "B": "new scenes", "C": "more severities", "D": "more drives", **wrong}


# 10b


def on_repairs(**wrong: str) -> dict[str, str]:
    right = {"A": "the network alone", "B": "the mean alone", "C": "a weather left out", "D": "a few labels"}
    return {**right, **wrong}


def power(matrix: Any, p: float) -> Any:
    values, vectors = np.linalg.eigh(matrix)
    return vectors * values**p @ vectors.T


def cov(rows: Any, identity: float = 1.0) -> Any:
    return np.cov(rows, rowvar=False) + identity * np.eye(rows.shape[1])


def centred(rows: Any) -> Any:
    return rows - rows.mean(0)


def coral(s: Any, t: Any, identity: float = 1.0) -> Any:
    return centred(s) @ power(cov(s, identity), -0.5) @ power(cov(t, identity), 0.5) + t.mean(0)


def coral_by_svd(s: Any, t: Any) -> Any:
    """Compute it without the matrices, as one would for many features."""
    x = centred(s)
    for domain, p in ((s, -0.5), (t, 0.5)):
        _, spread, v = np.linalg.svd(centred(domain) / np.sqrt(len(domain) - 1), full_matrices=False)
        x = x + (x @ v.T) * ((spread**2 + 1) ** p - 1) @ v
    return x + t.mean(0)


# 11


def patient_means(scores: Any, patients: Any) -> Any:
    """Add up slice by slice, in a dictionary."""
    found: dict[int, list[float]] = {}
    for score, patient in zip(scores, patients, strict=True):
        found.setdefault(int(patient), []).append(score)
    return [sum(found[patient]) / len(found[patient]) for patient in sorted(found)]


def of_each(scores: Any, patients: Any, join: Any, numbers: Any = None) -> Any:
    numbers = np.unique(patients) if numbers is None else numbers
    return np.array([join(scores[patients == number]) for number in numbers])


def lacking(**wrong: str) -> dict[str, str]:
    right = {"A": "a split by patient", "B": "an opponent", "C": "an interval by patient"}
    return {**right, "D": "a threshold from validation", **wrong}


# 11b


def ppv(se: float, sp: float, prevalence: float) -> float:
    return se * prevalence / (se * prevalence + (1 - sp) * (1 - prevalence))


def remedied(**wrong: str) -> dict[str, str]:
    right = {"A": "move the threshold", "B": "correct the odds", "C": "show both kinds in training"}
    return {**right, "D": "test more patients", **wrong}


# 12


def tokens(ids: Any) -> Any:
    return (ids != 0).sum(axis=1)


def pooled(a: Any, ids: Any, first: int = 0, last: int = 0) -> Any:
    """Pool every text alone, from the definition; leave out some of its first and last tokens."""
    return np.array([row[first : n - last].mean(axis=0) for row, n in zip(a, tokens(ids), strict=True)])


def drawn(**other: str) -> dict[str, str]:
    return {**dict.fromkeys("ACD", "does not follow"), "B": "follows"} | other


# 12a


def factors(shape: tuple[int, ...], rank: int) -> int:
    return sum(np.zeros(size).size for size in ((*shape[:-1], rank), (rank, shape[-1])))


def reported(**other: str) -> dict[str, str]:
    return {"A": "no error left", "B": "one rate", "C": "chosen on test", "D": "tests it"} | other


# 12b


def by_recording(outputs: Any, owners: Any) -> Any:
    """Add up window by window."""
    sums, counts = np.zeros((owners.max() + 1, outputs.shape[1])), np.zeros(owners.max() + 1)
    for row, owner in zip(outputs, owners, strict=True):
        sums[owner] += row
        counts[owner] += 1
    return sums / counts[:, None]


def picked(outputs: Any, owners: Any, choose: Any) -> Any:
    return np.array([choose(outputs[owners == owner]) for owner in np.unique(owners)])


def heard(**other: str) -> dict[str, str]:
    return {"A": "new speakers", "B": "these speakers", "C": "nothing", "D": "nothing"} | other


# 13


def recall_at(similarities: Any, right: Any, k: int) -> float:
    """Sort each row, picture by picture."""
    hits = [truth in np.argsort(-row)[:k] for row, truth in zip(similarities, right, strict=True)]
    return sum(hits) / len(hits)


def lacking_control(**wrong: str) -> dict[str, str]:
    right = {"A": "combinations held out", "B": "two separate heads", "C": "counted words"}
    return {**right, "D": "shuffled pairs", **wrong}


# 13b


def scaled(values: Any) -> Any:
    return values / values.sum(axis=1, keepdims=True)


def there(parts: Any) -> Any:
    return [part for part in parts if part is not None]


def product(parts: Any) -> Any:
    """Multiply class by class, the slow way, and take the root."""
    found = there(parts)
    rows = np.ones_like(found[0])
    for part in found:
        rows = rows * part
    return rows ** (1 / len(found))


def importance(predict: Any, features: Any, labels: Any, block: Any, rng: Any) -> Any:
    moved = features.copy()
    moved[:, block] = features[rng.permutation(len(features))][:, block]
    return (predict(features) == labels).mean() - (predict(moved) == labels).mean()


def importance_of_each_column(predict: Any, features: Any, labels: Any, block: Any, rng: Any) -> Any:
    moved = features.copy()
    moved[:, block] = rng.permuted(features[:, block], axis=0)
    return (predict(features) == labels).mean() - (predict(moved) == labels).mean()


def importance_in_place(predict: Any, features: Any, labels: Any, block: Any, rng: Any) -> Any:
    before = (predict(features) == labels).mean()
    features[:, block] = features[rng.permutation(len(features))][:, block]
    return before - (predict(features) == labels).mean()


def importance_of_all(predict: Any, features: Any, labels: Any, block: Any, rng: Any) -> Any:
    return importance(predict, features, labels, slice(None), rng)


def importance_of_labels(predict: Any, features: Any, labels: Any, block: Any, rng: Any) -> Any:
    return (predict(features) == labels).mean() - (predict(features) == rng.permutation(labels)).mean()


def fused(**wrong: str) -> dict[str, str]:
    right = {"A": "late fusion", "B": "a hidden layer or products", "C": "modality dropout"}
    return {**right, "D": "one modality", **wrong}


# 14


MOVES = {
    "Keras, trainable = False": "nothing",
    "TensorFlow, training=True": "statistics",
    "PyTorch, requires_grad_(False)": "statistics",
    "PyTorch, eval()": "weights",
}


def in_blocks(kernel: Any, shape: Any, axes: Any) -> Any:
    return kernel.reshape(shape[2], *shape[:2], -1).transpose(axes).reshape(kernel.shape[1], -1)


# 14b


IMPORTS = {"A": "activation", "B": "kernel", "C": "padding", "D": "momentum"}


def first_difference(
    right: Any,
    found: Any,
    scale: Any = lambda value: np.abs(value).max(),
    size: Any = np.abs,
    differs: Any = lambda gap: not gap <= 1e-4,
) -> Any:
    return next((k for k, v in right.items() if differs(size(found[k] - v).max() / scale(v))), None)


def first_difference_by_closeness(right: Any, found: Any) -> Any:
    close = [np.allclose(found[k], v, rtol=0, atol=1e-4 * np.abs(v).max()) for k, v in right.items()]
    return None if all(close) else list(right)[close.index(False)]


# 15


def quantized(values, low, high, q=None, step=None, zero=None):
    return quantized_as_given(values, min(low, 0), max(high, 0), q, step, zero)


def quantized_as_given(values, low, high, q=None, step=None, zero=None):
    size = (high - low) / 255 if step is None else step
    point = round(-128 - low / size) if zero is None else zero
    whole = np.clip(np.round(values / size) + point, -128, 127) if q is None else q(values / size, point)
    return whole, size, point


def softened(logits, temperature):
    scores = np.asarray(logits) / temperature
    scores = np.exp(scores - scores.max(axis=1, keepdims=True))
    return scores / scores.sum(axis=1, keepdims=True)


def softened_naively(logits, temperature):
    with np.errstate(all="ignore"):
        return np.exp(logits / temperature) / np.exp(logits / temperature).sum(axis=1, keepdims=True)


def softened_in_place(logits, temperature):
    logits /= temperature
    return softened(logits, 1)


def which(bell: Any = "tiny", belt: Any = "float16", library: Any = "int8") -> dict[str, Any]:
    return {"door bell": bell, "sorting belt": belt, "photo library": library}


# 18


def pulled_in_place(g: Any, t: Any, s: Any, m: Any, p: float, d: float) -> Any:
    g += np.where(m, p * (t - s), d * t)
    return g


def decided(a: Any = "label first", b: Any = "do not use", c: Any = "use", d: Any = "label first") -> dict[str, Any]:
    return {"A": a, "B": b, "C": c, "D": d, "missing": "joint error"}


def threshold_for(confidence, right, wanted):
    fitting = [t for t in confidence if right[confidence >= t].mean() >= wanted]
    return min(fitting, default=1.01)


def threshold_from_above(confidence, right, wanted):
    lowest = 1.01
    for threshold in sorted(confidence, reverse=True):
        if right[confidence >= threshold].mean() < wanted:
            break
        lowest = threshold
    return lowest


def advised(**other: str) -> dict[str, str]:
    return {"bakery": "use the model", "harbour": "use the cheaper way", "clinic": "collect more"} | other


RIGHT: dict[str, list[Any]] = {
    "00_place_the_cut": ["block3_pool"],
    "01_trained_parameters": [812_421, 812_421.0, np.int64(812_421)],
    "01_crossing": [level],
    "01_missing_control": [control()],
    "02_faults": [FAULTS],
    "02_update": [update],
    "02_mask": [mask, lambda sizes, k: mask(sizes, k).astype(float), lambda sizes, k: list(mask(sizes, k))],
    "18_l2_sp_gradient": [lambda g, t, s, m, p, d: g + np.where(m, p * (t - s), d * t)],
    "03_head_parameters": [(PUBLISHED, POOLED)],
    "03_repaired_program": [program(), program(loss=keras.losses.SparseCategoricalCrossentropy(), rate=0.02)],
    "03b_affordable_cut": ["block3_pool"],
    "04_where_to_cut": [where_to_cut],
    "04_fair_block": [4, 4.0, np.int64(4)],
    # A tenth of the lowest point's rate, within half a decade.
    "05_range_test": [(rate, CURVE) for rate in (1e-3, 4e-4, 3e-3, np.float32(1e-3))],
    "05_freeze_batchnorm": [freeze_as_in_the_lesson, tuning.freeze_batchnorm],
    "06_per_class": [per_class, per_class_by_scikit_learn],
    "06_ece": [ece, lambda y, p, bins: np.abs(gaps(y, p, bins)[0]) @ gaps(y, p, bins)[1]],
    "06_only_one_right": [only_one_right, only_one_right_by_package],
    "08_leep": [transferability.leep, lambda theta, y: np.log(leep_terms(theta, y)).mean()],
    "08_regret": [
        lambda s, a: a.max() - a[s.argmax()],
        lambda s, a: sorted(a)[-1] - max(zip(s, a, strict=True))[1],
    ],
    "08_small_modules": [(1096, 2816)],
    "10_fogged": [in_fog],
    "10_lacking": [on_roads()],
    "10b_coral": [coral, coral_by_svd],
    "10b_control": [on_repairs()],
    "11_by_patient": [patient_means, lambda s, p: [np.mean(np.asarray(s)[p == k]) for k in np.unique(p)]],
    "11_missing": [lacking()],
    "11b_ppv": [ppv],
    "11b_remedy": [remedied()],
    "12_mean_pooling": [pooled, lambda a, ids: (a * (ids > 0)[..., None]).sum(axis=1) / tokens(ids)[:, None]],
    "12_concluded": [drawn()],
    "12a_lora_numbers": [factors, lambda shape, rank: rank * (np.prod(shape) // shape[-1] + shape[-1])],
    "12a_judged": [reported()],
    "12b_mean_by_recording": [by_recording, lambda o, w: np.array([o[w == k].mean(axis=0) for k in np.unique(w)])],
    "12b_believed": [heard()],
    "13_recall_at": [
        recall_at,
        lambda s, right, k: ((s > s[np.arange(len(s)), right][:, None]).sum(axis=1) < k).mean(),
    ],
    "13_controls": [lacking_control()],
    "13b_late_fusion": [
        lambda parts: scaled(product(parts)),
        lambda parts: scaled(np.exp(np.mean([np.log(p) for p in there(parts)], axis=0))),
    ],
    "13b_importance": [importance],
    "13b_which_fusion": [fused()],
    "14_dense_to_torch": [
        lambda kernel, shape: kernel.reshape(*shape, -1).transpose(3, 2, 0, 1).reshape(kernel.shape[1], -1),
        lambda kernel, shape: kernel[np.arange(len(kernel)).reshape(shape).transpose(2, 0, 1).ravel()].T,
    ],
    "14_what_moves": [MOVES],
    "14b_first_difference": [first_difference, first_difference_by_closeness],
    "14b_faults": [IMPORTS],
    "15_quantize": [quantized, lambda *given: list(quantized(*given))],
    "15b_plan": [{"try first": "cuts", "decided by": "validation"}],
    "15b_soften": [softened, lambda logits, t: keras.ops.softmax(np.asarray(logits) / t)],
    "15_which_file": [which()],
    "16_threshold_for": [threshold_for],
    "16_what_to_do": [advised()],
    "17_interaction": [lambda a, b, c, d: a - b - c + d],
    "17_plan": [{"hold by chance": "1", "next": "new data"}],
    "18_reuse": [decided()],
}
FUNCTIONS = [exercise for exercise, answers in RIGHT.items() if callable(answers[0])]

# A wrong answer, and what it must be told, in a few words.
WRONG: dict[str, list[tuple[Any, str]]] = {
    "00_place_the_cut": [
        ("block4_pool", "only block 5 is left"),
        ("block5_pool", "feature extraction"),
        ("block2_pool", "block2_pool lies more than blocks 4 and 5"),
        ("preprocess", "preprocess lies more than blocks 4 and 5"),
        ("block3_conv3", "lies inside block 3"),
        ("block4_conv1", "a part of the block would stay frozen"),
        ("head", "'head' is no cut point"),
        (3, "in quotes"),
        (["block4", "block5"], "in quotes"),
    ],
    # The numbers were worked out by hand.
    "01_trained_parameters": [
        (811_776, "tail alone"),
        (443_397, "cut at block4_pool"),
        (442_752, "block 5 alone"),
        (645, "head alone"),
        (921_429, "whole network"),
        (109_008, "frozen parameters"),
        (811_648, "forgot the biases"),
        (812_416, "five biases"),
        (886_149, "takes 64 channels"),
        (814_341, "not 512"),
        (12, "It is not 12"),
        ("812421", "one whole number"),
        (0.5, "one whole number"),
        (float("nan"), "one whole number"),
        (True, "one whole number"),
    ],
    "01_missing_control": [
        (control(weights="pretrained"), "Take the source task away"),
        (control(head="a deeper one"), "the weights and the head"),
        (control(labels="more"), "the weights and the labels"),
        (control(head="a deeper one", labels="more"), "the head and the labels"),
        (control(weights="none"), "weights: choose 'pretrained' or 'random', not 'none'"),
        ({"weights": "random"}, "keys weights, head, labels"),
        ("random", "a dictionary"),
    ],
    "01_crossing": [
        (lambda sizes, a, b: level(range(5), a, b), "position in the list"),
        (lambda sizes, a, b: level(sizes, b, a), "where transfer is ahead"),
        (lambda sizes, a, b: level(sizes[::-1], b[::-1], a[::-1]), "still ahead"),
        (lambda sizes, a, b: level(sizes[::-1], a[::-1], b[::-1]), "Return the first."),
        (lambda sizes, a, b: level(sizes, np.array(a) + 1e-9, b), "compare with >="),
        (lambda sizes, a, b: level(sizes[1:], a[1:], b[1:]), "from the first size on"),
        (lambda sizes, a, b: level(sizes, a, b, 2 * sizes[-1]), "Nothing was measured there"),
        (lambda sizes, a, b: level(sizes, a, b, None), 'the word "never"'),
        (
            lambda sizes, a, b: next(n for n, p, q in zip(sizes, a, b, strict=True) if q >= p),
            "stops with StopIteration",
        ),
        (lambda sizes, a, b: 10, "level from 50 labels per class on; you return 10"),
    ],
    "02_faults": [
        (FAULTS | {"A": "no fault"}, "A: not 'no fault'. Follow the sign"),
        (FAULTS | {"B": "no label"}, "Look whose examples these are"),
        (FAULTS | {"C": "no fault"}, "model's own prediction"),
        (FAULTS | {"D": "climbs"}, "It subtracts the gradient"),
        (FAULTS | {"E": "wrong task"}, "for another input even"),
        (FAULTS | {"E": "wrong"}, "E: choose one of 'climbs'"),
        ({"A": "climbs"}, "Give a dictionary with the keys A, B, C, D, E"),
        ("climbs", "Give a dictionary"),
    ],
    "02_update": [
        (lambda t, x, y, a: t + a * (x @ t - y) @ x / len(y), "that climbs"),
        (lambda t, x, y, a: t - a * (y - x @ t) @ x / len(y), "that climbs"),
        (lambda t, x, y, a: t - a * (x @ t - y) @ x, "forgot the mean"),
        (lambda t, x, y, a: t + a * (x @ t - y) @ x, "Two mistakes"),
        (lambda t, x, y, a: t - a * 2 * (x @ t - y) @ x / len(y), "Twice too far"),
        (lambda t, x, y, a: t - (x @ t - y) @ x / len(y), "forgot the learning rate"),
        (lambda t, x, y, a: (x @ t - y) @ x / len(y), "That is the gradient"),
        (lambda t, x, y, a: -a * (x @ t - y) @ x / len(y), "step alone"),
        (lambda t, x, y, a: update(t, x, x @ t, a), "A prediction in the place of the label"),
        (update_in_place, "in place"),
        (lambda t, x, y, a: t - a * np.mean(x @ t - y) * x.mean(axis=0), "then average"),
        (lambda t, x, y, a: t - a * (x @ t - y), "stops with ValueError"),
        (lambda t, x, y, a: np.mean((x @ t - y) ** 2) / 2, "what you return ()"),
        (lambda t, x, y, a: t - a * np.sign((x @ t - y) @ x), "Chain rule"),
    ],
    "02_mask": [
        (lambda sizes, k: ~mask(sizes, k), "wrong side"),
        (lambda sizes, k: mask(sizes, k - 1), "one too few"),
        (lambda sizes, k: mask(sizes, k + 1), "one too many"),
        (lambda sizes, k: np.arange(len(sizes)) >= k, "one number per block"),
        (lambda sizes, k: np.arange(sum(sizes)) >= k, "Freeze 2 blocks"),
        (lambda sizes, k: np.ones(sum(sizes[k:])), "there are 8 parameters; you return the shape (3,)"),
        (lambda sizes, k: np.ones(sum(sizes)), "you return [1.0"),
        (mask_only_in_the_middle, "Try frozen_blocks=0"),
        (lambda sizes, k: mask(sizes, k) if 1 / k else None, "Try frozen_blocks=0"),
    ],
    "18_l2_sp_gradient": [
        (lambda g, t, s, m, p, d: g + np.where(m, p * (s - t), d * t), "sign of the pull"),
        (lambda g, t, s, m, p, d: g - np.where(m, p * (t - s), d * t), "drives away"),
        (lambda g, t, s, m, p, d: g + 2 * np.where(m, p * (t - s), d * t), "cancels the 2"),
        (lambda g, t, s, m, p, d: g + np.where(m, p * (t - s), 0), "lack their decay"),
        (lambda g, t, s, m, p, d: g + p * (t - s), "have no source value"),
        (lambda g, t, s, m, p, d: g + np.where(m, p * t, d * t), "plain L2"),
        (lambda g, t, s, m, p, d: g + np.where(m, d * t, p * (t - s)), "wrong side"),
        (lambda g, t, s, m, p, d: g + p * (t - s) + d * t, "one of the two terms"),
        (lambda g, t, s, m, p, d: np.where(m, p * (t - s), d * t), "penalty alone"),
        (lambda g, t, s, m, p, d: g + np.where(m, p / 2 * (t - s) ** 2, d / 2 * t**2), "Not the right numbers"),
        (lambda g, t, s, m, p, d: p / 2 * np.sum((t - s) ** 2), "what you return ()"),
        (pulled_in_place, "in place"),
    ],
    "03_head_parameters": [
        ((PUBLISHED - 517, POOLED), "forgot the biases"),
        ((PUBLISHED - 2_565, POOLED), "first dense layer alone"),
        ((512 * 512, POOLED), "Flatten turns"),
        ((PUBLISHED, ...), "Give both"),
        ((PUBLISHED, "2565"), "two whole numbers"),
        ((PUBLISHED, POOLED - 5), "lacks its 5 biases"),
        ((PUBLISHED, 125_445), "one number per channel"),
        ((PUBLISHED, 7), "does not have 7"),
    ],
    "03_repaired_program": [
        (program(frozen=False), "Fault 1"),
        (program(flat=True), "Fault 7"),
        (program(raw=True), "Fault 4"),
        (divided_by_255, "Fault 4"),
        (scaled_twice, "scaled twice"),
        (not_pooled, "Pool before the dense layer"),
        (without_softmax, "outputs do not add up to 1"),
        (program(outputs=1000), "1000 outputs"),
        (program(loss=None), "Compile the model"),
        (program(metrics=()), 'metrics=["accuracy"]'),
        (program(rate=1.0), "rate of 1 does not suit"),
        (program(rate=1e-4), "rate of 0.0001 does not suit"),
        (all_frozen, "Everything is frozen"),
        (program(loss="categorical_crossentropy"), "does not train on labels 0, 1, 2"),
        (lambda preprocess, base, n_classes: keras.optimizers.Adam(lr=1e-3), "stops with"),
        (lambda preprocess, base, n_classes: base, "returns 3 dimensions"),
        (lambda preprocess, base, n_classes: "a model", "Return a keras.Model"),
        (lambda base, n_classes: base, "takes 2 positional arguments"),
    ],
    "03b_affordable_cut": [
        ("block5_pool", "nothing to train"),
        ("block4_pool", "count block 4 as well"),
        ("block2_pool", "One block too many"),
        ("preprocess", "budget bites at the end"),
        ("block5_conv1", "is no cut point"),
        (4, "name of a cut point"),
    ],
    "04_where_to_cut": [
        (lambda pretrained, untrained: "untrained", "far ahead"),
        (lambda pretrained, untrained: "block4_pool", "far ahead"),
        (lambda pretrained, untrained: 0.79, "position of a cut"),
        (lambda pretrained, untrained: int(pretrained.mean(axis=0).argmax()), "best mean"),
        (lambda pretrained, untrained: 0, "more than one standard error"),
        (lambda pretrained, untrained: 1, "you chose 1"),
        (where_any_draw_is_best, "one good draw is luck"),
        (where_by_the_deviation, "margin is too wide"),
        (where_whatever_the_control, "ahead at every cut"),
        (where_none_is_better, "level at every cut"),
        (where_the_same_cut_is_behind, "ahead at another cut"),
    ],
    "04_fair_block": [
        (1, "next to nothing to lose"),
        (2, "far below block 5"),
        (3, "several points below"),
        (5, "block 5 itself"),
        (64, "side of a tile"),
        (0, "There is no block 0"),
        ("block 4", "number of one block"),
        (4.5, "number of one block"),
    ],
    "05_range_test": [
        ((1e-2, CURVE), "one decade to the left"),
        ((0.3, CURVE), "on its way up"),
        ((10, CURVE), "right of the whole curve"),
        ((1e-4, CURVE), "safe but slow, 10 times"),
        ((1e-6, CURVE), "left of the whole curve"),
        ((0, CURVE), "left of the whole curve"),
        ((-3, CURVE), "write 1e-3"),
        (("1e-3", CURVE), "Give one number"),
        ((True, CURVE), "Give one number"),
        ((RATES, CURVE), "Give one number"),
        ((np.inf, CURVE), "Give one finite number"),
    ],
    "05_freeze_batchnorm": [
        (freezing(is_norm, nested=False), "nested model trains on"),
        (freeze_everything, "Everything is frozen"),
        (freezing(lambda layer: not is_norm(layer)), "wrong side"),
        (freezing(lambda layer: is_norm(layer) or isinstance(layer, keras.layers.Dense)), "Other layers are frozen"),
        (freezing(lambda layer: "bn" in layer.name or "batch" in layer.name), "Nothing is frozen"),
        (freezing(lambda layer: layer.name == "inside"), "the one outside is not"),
        (freeze_the_statistics_alone, "scale and shift still learn"),
        (freezing(is_norm, None), "return how many"),
        (freezing(is_norm, 1), "you return 1"),
    ],
    "06_per_class": [
        (lambda m: per_class(m.T), "swapped"),
        (lambda m: (np.diag(m) / m.sum(),) * 3, "divide by all pictures"),
        (lambda m: (1 - per_class(m)[0], *per_class(m)[1:]), "Precision is not right"),
        (lambda m: (per_class(m)[0], *per_class(m)[:2]), "Recall is not"),
        (lambda m: (*per_class(m)[:2], sum(per_class(m)[:2]) / 2), "harmonic"),
        (lambda m: (*per_class(m)[:2], per_class(m)[0] * per_class(m)[1]), "F1 is 2PR"),
        (lambda m: [part.mean() for part in per_class(m)], "one number per class"),
        (lambda m: np.trace(m), "three arrays"),
    ],
    "06_ece": [
        (lambda y, p, bins: np.prod(gaps(y, p, bins), axis=0).sum(), "cancel"),
        (lambda y, p, bins: -np.prod(gaps(y, p, bins), axis=0).sum(), "cancel"),
        (lambda y, p, bins: np.abs(gaps(y, p, bins)[0]).mean(), "same weight"),
        (lambda y, p, bins: np.abs(gaps(y, p, bins)[0]).sum() / bins, "same weight"),
        (lambda y, p, bins: np.nan, "some bins are empty"),
        (lambda y, p, bins: "0.08", "Return one number, not '0.08'"),
        (lambda y, p, bins: gaps(y, p, bins)[0] ** 2 @ gaps(y, p, bins)[1], "squared"),
        (lambda y, p, bins: np.abs((p.argmax(axis=1) == y) - p.max(axis=1)).mean(), "within each bin first"),
        (lambda y, p, bins: (1 - p[np.arange(len(y)), y]).mean(), "confidence is the largest"),
        (lambda y, p, bins: 100 * ece(y, p, bins), "per cent"),
        (lambda y, p, bins: len(y) * ece(y, p, bins), "divide by their number"),
        (lambda y, p, bins: np.abs(gaps(y, p, bins)[0]), "one number"),
        (lambda y, p, bins: 0.5, "Not 0.500"),
    ],
    "06_only_one_right": [
        (lambda y, a, b: only_one_right(y, b, a), "swapped"),
        (lambda y, a, b: ((a != y).sum(), (b != y).sum()), "mistakes of each model"),
        (lambda y, a, b: ((b != y).sum(), (a != y).sum()), "mistakes of the other"),
        (lambda y, a, b: ((a == y).sum(), (b == y).sum()), "that each model gets right"),
        (lambda y, a, b: ((a != b).sum(), (a != b).sum()), "must also be right"),
        (lambda y, a, b: (0, 0), "Not (0, 0)"),
        (lambda y, a, b: 3, "two counts"),
    ],
    "08_leep": [
        (lambda theta, y: -transferability.leep(theta, y), "sign is wrong"),
        (lambda theta, y: np.log(leep_terms(theta, y)).sum(), "divide by their number"),
        (lambda theta, y: leep_terms(theta, y).mean(), "logarithm of each"),
        (lambda theta, y: np.log(leep_terms(theta, y).mean()), "mean of the logarithms"),
        (lambda theta, y: leep_with(theta, y, axis=1), "sums to 1 over y"),
        (lambda theta, y: leep_with(theta, y, axis=None), "Divide by P(z)"),
        (lambda theta, y: leep_with(np.eye(theta.shape[1])[theta.argmax(axis=1)], y), "likeliest source class"),
        (lambda theta, y: np.log(leep_terms(theta, y)), "one number"),
        (lambda theta, y: "-0.4", "Return one number, not '-0.4'"),
        (lambda theta, y: {"leep": -0.4}, "Return one number, not {"),
        (lambda theta, y: 0.5, "Not 0.500"),
    ],
    "08_regret": [
        (lambda s, a: a[s.argmax()] - a.max(), "sign is wrong"),
        (lambda s, a: a[s.argmax()], "accuracy of the chosen"),
        (lambda s, a: a.max() - a[s.argmin()], "lowest score"),
        (lambda s, a: a.max() - s.max(), "subtracted a score"),
        (lambda s, a: s.max() - s[a.argmax()], "difference of two scores"),
        (lambda s, a: a.max() - a[a.argmax()], "best with itself"),
        (lambda s, a: (a > a[s.argmax()]).sum(), "place in the ranking"),
        (lambda s, a: (s > s[a.argmax()]).sum(), "place in the ranking"),
        (lambda s, a: 100 * (a.max() - a[s.argmax()]), "in points"),
        (lambda s, a: a.max() - a.mean(), "at random"),
        (lambda s, a: a.max() - a, "one number"),
        (lambda s, a: "0.21", "Return one number, not '0.21'"),
        (lambda s, a: 0.5, "Not 0.500"),
    ],
    "08_small_modules": [
        (1096, "two whole numbers"),
        ((1096, "many"), "two whole numbers"),
        ((float("nan"), 1), "two whole numbers"),
        ((1096, float("inf")), "two whole numbers"),
        ((520, 2816), "counted one way"),
        ((576, 2816), "counted one way"),
        ((1024, 2816), "forgot the adapter's biases"),
        ((9216, 2816), "1 x 1, not 3 x 3"),
        ((9288, 2816), "1 x 1, not 3 x 3"),
        ((4160, 2816), "without the bottleneck"),
        ((7, 2816), "does not have 7"),
        ((1096, 73728), "kernel itself"),
        ((1096, 73856), "whole convolution"),
        ((1096, 768), "3 x 3 x 64 x 4"),
        ((1096, 6912), "Only the first factor"),
        ((1096, 2304), "second brings"),
        ((1096, 512), "The first is a 3 x 3 kernel"),
        ((1096, 2944), "no bias"),
        ((1096, 7), "Not 7"),
    ],
    "10_fogged": [
        (lambda j, d, v, a: in_fog(j, d, v, a)[..., 0], "of shape (2, 4, 3)"),
        (lambda j, d, v, a: in_fog(a, d, v, j), "swapped"),
        (lambda j, d, v, a: in_fog(j, d, v, 0 * a), "lit air is missing"),
        (lambda j, d, v, a: in_fog(j, d, v, 0 * a) + a, "as much near as far"),
        (lambda j, d, v, a: j + in_fog(0 * j, d, v, a), "does not fade"),
        (lambda j, d, v, a: in_fog(j, d, 3.912 * v, a), "3.912 is missing"),
        (lambda j, d, v, a: in_fog(j, d, 3.912**2 / v, a), "upside down"),
        (lambda j, d, v, a: in_fog(j, d * np.log(10), v, a), "power of 10"),
        (lambda j, d, v, a: in_fog(j, -d, v, a), "sign is wrong"),
        (lambda j, d, v, a: in_fog(j, d, 150, a), "another one goes wrong"),
        (lambda j, d, v, a: 0 * j, "Not yet"),
        (lambda j, d, v, a: j * d, "stops with ValueError"),
    ],
    "10_lacking": [
        (on_roads(A="new scenes"), "A: ask what else"),
        (on_roads(B="an opponent"), "B: ask where else"),
        (on_roads(C="more drives"), "C: ask at which point"),
        (on_roads(D="more severities"), "D: ask how many independent"),
        (on_roads(D="luck"), "D: choose one of"),
        ("an opponent", "Give a dictionary"),
    ],
    "10b_coral": [
        (lambda s, t: coral(s, t, 0.0), "forgot + I"),
        (lambda s, t: centred(s) @ power(cov(t), 0.5) @ power(cov(s), -0.5) + t.mean(0), "transposed"),
        (lambda s, t: centred(s) @ power(cov(s), -0.5) @ power(cov(s), 0.5) + t.mean(0), "one undoes the other"),
        (lambda s, t: centred(s) @ power(cov(s), -0.5) + t.mean(0), "white now"),
        (lambda s, t: centred(s) + t.mean(0), "mean alone"),
        (lambda s, t: (s - t.mean(0)) @ power(cov(s), -0.5) @ power(cov(t), 0.5) + t.mean(0), "its own"),
        (lambda s, t: s @ power(cov(s), -0.5) @ power(cov(t), 0.5), "left as they fall"),
        (lambda s, t: s @ power(cov(s), -0.5) @ power(cov(t), 0.5) + t.mean(0), "Centre the source rows"),
        (lambda s, t: coral(s, t) - t.mean(0), "forgot to add"),
        (lambda s, t: coral(s, t) - t.mean(0) + s.mean(0), "You add the source's mean"),
        (lambda s, t: centred(s) @ power(cov(t), -0.5) @ power(cov(s), 0.5) + t.mean(0), "swapped in the roots"),
        (lambda s, t: centred(s) @ power(cov(s), 0.5) @ power(cov(t), -0.5) + t.mean(0), "exponents are swapped"),
        (lambda s, t: centred(s) @ power(cov(s), -1) @ cov(t) + t.mean(0), "square roots"),
        (lambda s, t: coral(t, s), "target's rows"),
        (lambda s, t: s[:, :2], "of shape (40, 3)"),
        (lambda s, t: s * 0, "mean of the moved rows"),
        (lambda s, t: 0 * s + t.mean(0), "covariance does not"),
        (lambda s, t: s @ t, "stops with ValueError"),
    ],
    "10b_control": [
        (on_repairs(A="the mean alone"), "A: two things differ"),
        (on_repairs(B="the network alone"), "B: CORAL moves two things"),
        (on_repairs(C="a few labels"), "C: ask who drew"),
        (on_repairs(D="a weather left out"), "D: ask what else"),
        (on_repairs(D="luck"), "D: choose one of"),
        ("a few labels", "Give a dictionary"),
    ],
    "11_by_patient": [
        (lambda s, p: of_each(s, p, np.sum), "These are sums"),
        (lambda s, p: of_each(s, p, np.max), "largest score"),
        (lambda s, p: of_each(s, p, lambda rows: rows[0]), "the first slice"),
        (lambda s, p: of_each(s, p, np.mean, dict.fromkeys(p.tolist())), "order of their first slices"),
        (lambda s, p: of_each(s, p, np.mean)[::-1], "the smallest number comes first"),
        (lambda s, p: of_each(s, p, np.sum) * 3 / 7, "the same number"),
        (lambda s, p: np.bincount(p, s) / np.maximum(np.bincount(p), 1), "one number for each of the 3 patients"),
        (lambda s, p: s.mean(), "one number for each of the 3 patients"),
        (lambda s, p: of_each(s, p, np.median), "Not yet"),
        (lambda s, p: of_each(s, p, np.mean, (2, 5, 7)), "two others go wrong"),
        (lambda s, p: s.reshape(3, 2), "stops with ValueError"),
    ],
    "11_missing": [
        (lacking(A="an opponent"), "A: ask where"),
        (lacking(B="a split by patient"), "B: the patients are apart"),
        (lacking(C="an opponent"), "C: opponents are there"),
        (lacking(D="an interval by patient"), "D: ask who chose"),
        (lacking(D="luck"), "D: choose one of"),
        ("an opponent", "Give a dictionary"),
    ],
    "11b_remedy": [
        (remedied(A="correct the odds"), "A: the ranking is good"),
        (remedied(B="move the threshold"), "B: only the share"),
        (remedied(C="correct the odds"), "C: the network can tell"),
        (remedied(D="move the threshold"), "D: what is missing"),
        (remedied(D="pray"), "D: choose one of"),
    ],
    "11b_ppv": [
        (lambda se, sp, p: se / (se + 1 - sp), "prevalence is missing"),
        (lambda se, sp, p: ppv(sp, se, p), "swapped"),
        (lambda se, sp, p: ppv(sp, se, 1 - p), "negative predictive value"),
        (lambda se, sp, p: se * p / (se * p + 1 - sp), "multiply 1 - specificity"),
        (lambda se, sp, p: se * p / (se * p + sp * (1 - p)), "You divide by the healthy without an alarm"),
        (lambda se, sp, p: se * p, "share of all alarms"),
        (lambda se, sp, p: ppv(se, sp, p) / (1 - ppv(se, sp, p)), "odds"),
        (lambda se, sp, p: 1 - ppv(se, sp, p), "share of false alarms"),
        (lambda se, sp, p: ppv(0.8, 0.9, 0.02), "Use the arguments"),
        (lambda se, sp, p: 0.5, "you return 0.500"),
        (lambda se, sp, p: [0.5], "one number"),
    ],
    "12_mean_pooling": [
        (lambda a, ids: a.mean(axis=1), "padded length"),
        (lambda a, ids: a.sum(axis=1), "That is the sum"),
        (lambda a, ids: a[:, 0], "[CLS]"),
        (lambda a, ids: a.max(axis=1), "largest"),
        (lambda a, ids: a.sum(axis=1) / tokens(ids).mean(), "same number"),
        (lambda a, ids: pooled(a, ids, 1, 1), "leave out"),
        (lambda a, ids: a.sum(axis=1) / ((ids == 0).sum(axis=1)[:, None] + 1e-12), "wrong side"),
        (lambda a, ids: a.sum(axis=1) / np.where(ids == 0, 1, np.nan).sum(axis=1)[:, None], "not finite"),
        (lambda a, ids: pooled(a, ids) / norm(pooled(a, ids), axis=1, keepdims=True), "length 1"),
        (lambda a, ids: a.mean(axis=2), "one vector per text"),
        (lambda a, ids: a.sum(axis=1) / 7, "Not yet"),
        (lambda a, ids: a / ids, "stops with ValueError"),
    ],
    "12_concluded": [
        (drawn(A="follows"), "A: a cost of 3 points"),
        (drawn(B="does not follow"), "B: every value"),
        (drawn(C="follows"), "C: the negation repeats"),
        (drawn(D="follows"), "D: pieces of Latin letters"),
        (drawn(D="perhaps"), "D: choose 'follows' or"),
        ("follows", "Give a dictionary"),
    ],
    "12a_lora_numbers": [
        (lambda shape, rank: np.prod(shape), "the kernel itself"),
        (lambda shape, rank: np.prod(shape[:-1]) * rank, "A alone"),
        (lambda shape, rank: shape[-1] * rank, "B alone"),
        (lambda shape, rank: rank * (shape[0] + shape[-1]), "not only the first"),
        (lambda shape, rank: rank * (shape[0] + np.prod(shape[1:])), "flat one of 10 x 24"),
        (lambda shape, rank: np.prod(shape[:-1]) * rank * shape[-1] * rank, "multiply"),
        (lambda shape, rank: np.prod(shape[:-1]) + shape[-1], "forget the rank"),
        (lambda shape, rank: np.prod(shape[:-1]) * rank + shape[-1], "B has rank rows"),
        (lambda shape, rank: np.prod(shape) + factors(shape, rank), "add the kernel"),
        (lambda shape, rank: rank * (shape[0] * shape[1] + shape[-1]), "a kernel of two goes wrong"),
        (lambda shape, rank: 7, "Not 7"),
        (lambda shape, rank: [1, 2], "one number"),
    ],
    "12a_judged": [
        (reported(A="tests it"), "A: three rates"),
        (reported(B="no error left"), "B: loss was left"),
        (reported(C="tests it"), "C: loss was left"),
        (reported(D="one rate"), "D: loss was left"),
        (reported(A="perhaps"), "A: choose one of"),
        ("tests it", "Give a dictionary"),
    ],
    "12b_mean_by_recording": [
        (lambda o, w: picked(o, w, lambda rows: rows.sum(axis=0)), "These are sums"),
        (lambda o, w: picked(o, w, lambda rows: rows[0]), "the first window"),
        (lambda o, w: picked(o, w, lambda rows: rows[-1]), "the last window"),
        (lambda o, w: picked(o, w, lambda rows: rows.max(axis=0)), "largest value"),
        (lambda o, w: by_recording(o, w)[::-1], "wrong order"),
        (lambda o, w: picked(o, w, lambda rows: rows.sum(axis=0)) * (w.max() + 1) / len(w), "the same number"),
        (lambda o, w: o.mean(axis=0), "one row for each of the 4 recordings"),
        (lambda o, w: by_recording(o, w).T, "not (3, 4)"),
        (lambda o, w: picked(o, w, lambda rows: np.median(rows, axis=0)), "Not yet"),
        (lambda o, w: np.array([o[w == k].mean(axis=0) for k in range(4)]), "two of one window each go wrong"),
        (lambda o, w: o.reshape(4, 2), "stops with ValueError"),
    ],
    "12b_believed": [
        (heard(A="these speakers"), "A: nobody of the test"),
        (heard(A="nothing"), "A: every speaker said"),
        (heard(B="new speakers"), "B: the takes 0 to 4"),
        (heard(B="nothing"), "B: everybody said"),
        (heard(C="new speakers"), "C: the folds hold new takes"),
        (heard(C="these speakers"), "C: the voice alone"),
        (heard(D="new speakers"), "D: the patients are apart"),
        (heard(D="these speakers"), "D: the device alone"),
        (heard(D="perhaps"), "D: choose one of"),
        ("new speakers", "Give a dictionary"),
    ],
    "13_recall_at": [
        (lambda s, right, k: recall_at(s, right, k) * len(s), "number of pictures"),
        (lambda s, right, k: recall_at(-s, right, k), "least similar"),
        (lambda s, right, k: recall_at(s, right, 1), "most similar caption only"),
        (lambda s, right, k: recall_at(s, right, k) - recall_at(s, right, k - 1), "in place k only"),
        (lambda s, right, k: recall_at(s, right, k + 1), "one caption too many"),
        (lambda s, right, k: recall_at(s, right, 3), "not for k = 1"),
        (lambda s, right, k: recall_at(s, right, k) / 3, "Not yet"),
        (lambda s, right, k: np.ones(len(s)), "Return one number"),
    ],
    "13_controls": [
        (lacking_control(A="counted words"), "A: ask which combinations"),
        (lacking_control(B="shuffled pairs"), "B: ask what a classifier"),
        (lacking_control(C="two separate heads"), "C: ask whether anything"),
        (lacking_control(D="counted words"), "D: ask what this score"),
        (lacking_control(D="none"), "D: choose one of"),
    ],
    "13b_late_fusion": [
        (lambda parts: np.mean(there(parts), axis=0), "mean of the probabilities"),
        (lambda parts: np.mean(np.log(there(parts)), axis=0), "These are logarithms"),
        (product, "do not sum to 1"),
        (lambda parts: scaled(product(parts) ** 2), "not the geometric mean of the probabilities"),
        (lambda parts: scaled(product(parts))[0], "one row per card"),
        (lambda parts: scaled(np.exp(sum(np.log(p) for p in parts) / 3)), "leave it out. The function stops with"),
        (lambda parts: scaled(np.exp(sum(np.log(p) for p in there(parts)) / 3)), "still divide by 3"),
        (lambda parts: None if len(there(parts)) == 2 else scaled(product(parts)), "leave it out."),
        (lambda parts: scaled(product(parts) ** (len(there(parts)) - 2)), "mean of those that are there"),
    ],
    "13b_importance": [
        (lambda *arguments: -importance(*arguments), "sign is wrong"),
        (lambda *arguments: 1 - importance(*arguments), "accuracy after permuting"),
        (lambda *arguments: 2 * importance(*arguments), "The accuracy falls by"),
        (lambda *arguments: [importance(*arguments)], "Return one number, not an array of shape (1,)"),
        (importance_of_each_column, "permuted apart"),
        (importance_in_place, "Work on a copy"),
        (importance_of_all, "outside the block"),
        (importance_of_labels, "not the labels"),
    ],
    "13b_which_fusion": [
        (fused(A="modality dropout"), "A: given the label"),
        (fused(B="late fusion"), "B: ask what the sum"),
        (fused(C="late fusion"), "C: the network is needed"),
        (fused(D="late fusion"), "D: ask what the second"),
        (fused(D="none"), "D: choose one of"),
    ],
    "14_dense_to_torch": [
        (lambda kernel, shape: kernel, "a Linear layer holds the outputs first"),
        (lambda kernel, shape: kernel.T, "still in Keras' order"),
        (lambda kernel, shape: kernel.T[:, ::-1], "not where"),
        (lambda kernel, shape: in_blocks(kernel, shape, (3, 0, 1, 2)), "reshape alone moves no number"),
        (lambda kernel, shape: in_blocks(kernel, shape, (3, 1, 2, 0)), "the channels come last"),
        (lambda kernel, shape: kernel.reshape(*shape, -1).T.reshape(5, -1), "Height and width are swapped"),
        (lambda kernel, shape: "kernel", "Return numbers"),
    ],
    "14_what_moves": [
        (MOVES | {"Keras, trainable = False": "statistics"}, "In Keras this holds both"),
        (MOVES | {"TensorFlow, training=True": "nothing"}, "Who updates the moving statistics"),
        (MOVES | {"PyTorch, requires_grad_(False)": "nothing"}, "The statistics need none"),
        (MOVES | {"PyTorch, eval()": "nothing"}, "It stops no gradient"),
        (MOVES | {"PyTorch, eval()": "all"}, "PyTorch, eval(): choose one of 'nothing'"),
        ("nothing", "a dictionary"),
    ],
    "14b_first_difference": [
        (lambda right, found: first_difference(right, found, scale=lambda value: 1), "is rounding"),
        (lambda right, found: first_difference(dict(reversed(right.items())), found), "Return the first"),
        (lambda right, found: first_difference(right, found) or "none", "return None"),
        (lambda right, found: first_difference(right, found, size=lambda gap: gap), "Take absolute values"),
        (lambda right, found: first_difference(right, found, size=lambda gap: -gap), "Take absolute values"),
        (lambda right, found: first_difference(right, found, differs=lambda gap: gap > 1e-4), "A NaN differs"),
        (lambda right, found: 1, "Return the name of a layer, not 1"),
        (lambda right, found: "top", "not 'top'"),
    ],
    "14b_faults": [
        (IMPORTS | {"A": "padding"}, "What kind of layer is it"),
        (IMPORTS | {"B": "padding"}, "stride 1"),
        (IMPORTS | {"C": "kernel"}, "so the kernels are"),
        (IMPORTS | {"D": "epsilon"}, "in training only"),
        (IMPORTS | {"D": "none"}, "D: choose one of 'padding'"),
    ],
    "15_quantize": [
        (lambda v, low, high: quantized(v, low, high, step=(high - low) / 256), "255 steps, not 256"),
        (lambda v, low, high: quantized(v, low, high, step=max(-low, high) / 127), "a step is 5.1 / 255"),
        (lambda v, low, high: quantized(v, low, high, zero=round(-low / 0.02)), "for 0 to 255"),
        (lambda v, low, high: quantized(v, low, high, zero=-77.5), "a whole number, not -77.5"),
        (lambda v, low, high: quantized(v, low, high, zero=78), "0 becomes -78, not 78"),
        (lambda v, low, high: quantized(v, low, high, lambda x, z: np.round(x) + z), "use np.clip"),
        (
            lambda v, low, high: quantized(v, low, high, lambda x, z: (np.round(x) + z).astype(int).astype(np.int8)),
            "wrapped around",
        ),
        (
            lambda v, low, high: quantized(v, low, high, lambda x, z: np.clip(np.floor(x) + z, -128, 127)),
            "not down",
        ),
        (
            lambda v, low, high: quantized(v, low, high, lambda x, z: np.clip(x.astype(int) + z, -128, 127)),
            "a conversion cuts off",
        ),
        (
            lambda v, low, high: quantized(v, low, high, lambda x, z: np.clip(np.round(x), -128, 127)),
            "zero point is not added",
        ),
        (lambda v, low, high: quantized(v, low, high, lambda x, z: 0 * x), "Not the right numbers"),
        (lambda v, low, high: quantized(v, low, high, lambda x, z: x[:2]), "as many whole numbers"),
        (lambda v, low, high: quantized(v, low, high)[0], "Return three things"),
        (lambda v, low, high: quantized(v, low, high, zero=np.full(7, -78)), "one number each"),
        (quantized_as_given, "From 0.5 to 2.55, 0 is not in the range"),
        (lambda v, low, high: quantized_as_given(v, min(low, 0), high), "From -2.55 to -0.5, 0 is not in the range"),
    ],
    "15b_plan": [
        ({"try first": "end", "decided by": "validation"}, "the noise may be gone"),
        ({"try first": "new", "decided by": "validation"}, "few for a network from scratch"),
        ({"try first": "cuts", "decided by": "training"}, "whatever it learnt"),
        ({"try first": "cuts", "decided by": "test"}, "no test any more"),
        ({"try first": "cuts", "decided by": "luck"}, "decided by: choose one of"),
    ],
    "15b_soften": [
        (lambda logits, t: softened(logits, 1), "temperature is not used"),
        (lambda logits, t: softened(logits, 1 / t), "become harder"),
        (lambda logits, t: softened(logits, 1) / t, "no longer sum to 1"),
        (lambda logits, t: softened(logits.T, t).T, "along a row"),
        (lambda logits, t: np.exp(logits / t) / np.exp(logits / t).sum(), "Each row sums to 1"),
        (lambda logits, t: np.exp(logits / t), "Divide each row by its sum"),
        (lambda logits, t: logits / t, "Those are the divided logits"),
        (lambda logits, t: softened(logits, t) ** 2, "Not the right numbers"),
        (lambda logits, t: softened(logits, t)[0], "shape (2, 3), not (3,)"),
        (softened_naively, "overflows"),
        (softened_in_place, "in place"),
    ],
    "15_which_file": [
        (which(bell="int8"), "970 kB do not fit"),
        (which(bell="float16"), "1,860 kB do not fit"),
        (which(bell="float32"), "3,700 kB do not fit"),
        (which(belt="int8"), "one fruit in twenty"),
        (which(belt="float32"), "half the space"),
        (which(belt="tiny"), "81 % are fewer"),
        (which(library="float16"), "Nobody waits"),
        (which(library="float32"), "Nobody waits"),
        (which(library="tiny"), "81 % are fewer"),
        (which(library="onnx"), "photo library: choose one of"),
    ],
    "16_threshold_for": [
        (lambda c, r, w: max((t for t in c if r[c >= t].mean() >= w), default=1.01), "largest confidence"),
        (lambda c, r, w: w, "You return 0.95"),
        (threshold_from_above, "Look at every threshold"),
        (lambda c, r, w: min(c[r]) if w < 0.95 else threshold_for(c, r, w), "the smallest confidence, 0.30"),
        (lambda c, r, w: threshold_for(c, r, w) if threshold_for(c, r, w) < 1 else 1.0, "return 1.01"),
        (lambda c, r, w: str(threshold_for(c, r, w)), "Return one number"),
    ],
    "16_what_to_do": [
        (advised(bakery="collect more"), "lead by 23 points"),
        (advised(harbour="use the model"), "ends at +1"),
        (advised(clinic="use the model"), "20 examples"),
        (advised(clinic="ask"), "clinic: choose one of"),
    ],
    "17_interaction": [
        (lambda a, b, c, d: (b - a) - (d - c), "The other way round"),
        (lambda a, b, c, d: (a - b - c + d) / 2, "Some books halve it"),
        (lambda a, b, c, d: d - c, "the effect at the high level. Subtract"),
        (lambda a, b, c, d: b - a, "the effect at the low level. How much larger"),
        (lambda a, b, c, d: (b - a + d - c) / 2, "main effect of the second factor"),
        (lambda a, b, c, d: b - a + d - c, "You add them"),
        (lambda a, b, c, d: (c - a + d - b) / 2, "main effect of the first factor"),
        (lambda a, b, c, d: d - a, "both factors at once"),
        (lambda a, b, c, d: np.mean(a - b - c + d), "you return shape ()"),
        (lambda a, b, c, d: a * b * c * d, "Not the right numbers"),
    ],
    "17_plan": [
        ({"hold by chance": "0", "next": "new data"}, "one case of twenty"),
        ({"hold by chance": "2", "next": "new data"}, "only half of these"),
        ({"hold by chance": "20", "next": "new data"}, "the whole interval lies above"),
        ({"hold by chance": "1", "next": "report them"}, "Nothing in these runs says which"),
        ({"hold by chance": "1", "next": "more seeds"}, "on the same data"),
        ({"hold by chance": "1", "next": "wait"}, "next: choose one of"),
    ],
    "18_reuse": [
        (decided(a="use"), "A: A small distance compares pictures"),
        (decided(a="do not use"), "A: Nothing speaks against the model yet"),
        (decided(b="use"), "12 of 40 answers are wrong"),
        (decided(b="label first"), "begins at 17 %"),
        (decided(c="do not use"), "A bound is a ceiling"),
        (decided(c="label first"), "ends at 6 %"),
        (decided(d="use"), "52 % mistakes"),
        (decided(d="do not use"), "D: The interval for 0 of 5 begins at 0 %"),
        (decided() | {"missing": "source error"}, "4 % at home"),
        (decided() | {"missing": "distance"}, "The distance of A"),
        (decided(c="yes"), "C: choose one of 'use', 'label first', 'do not use', not 'yes'"),
        (decided() | {"missing": "labels"}, "missing: choose one of 'source error'"),
        ({"A": "use"}, "keys A, B, C, D, missing"),
        ("use", "a dictionary"),
    ],
}


@pytest.mark.parametrize(("exercise", "answer"), [(name, answer) for name, given in RIGHT.items() for answer in given])
def test_a_right_answer_is_right_however_it_was_found(told: Any, exercise: str, answer: Any) -> None:
    assert told(exercise, answer) == "✓ Right."


@pytest.mark.parametrize(
    ("exercise", "answer", "words"),
    [pytest.param(name, *row, id=f"{name}: {row[1]}") for name, table in WRONG.items() for row in table],
)
def test_a_usual_error_gets_its_own_hint(told: Any, exercise: str, answer: Any, words: str) -> None:
    hint = told(exercise, answer)
    assert hint.startswith("✗") and words in hint


@pytest.mark.parametrize(
    ("exercise", "answer"),
    [(name, ...) for name in RIGHT if name not in FUNCTIONS]
    + [(name, lambda *_: None) for name in FUNCTIONS]
    + [(name, lambda *_: ...) for name in FUNCTIONS if name != "01_crossing"]
    + [("01_missing_control", control(weights=...)), ("02_faults", FAULTS | {"C": ...})]
    + [("18_reuse", decided(d=...))]
    + [("03_head_parameters", (..., ...)), ("05_range_test", (..., CURVE)), ("08_small_modules", (1096, ...))],
)
def test_an_untouched_stub_counts_as_not_solved(told: Any, exercise: str, answer: Any) -> None:
    assert told(exercise, answer).startswith("○ Not solved yet")


@pytest.mark.parametrize("exercise", FUNCTIONS)
def test_where_a_function_is_asked_for_nothing_else_will_do(told: Any, exercise: str) -> None:
    assert "Define a function" in told(exercise, 0.1)


@pytest.mark.parametrize("exercise", FUNCTIONS)
def test_a_function_that_fails_without_a_message_is_told_what_it_raised(told: Any, exercise: str) -> None:
    def fails(*arguments: Any) -> None:
        raise AssertionError

    assert "The function stops with AssertionError" in told(exercise, fails)


@pytest.fixture(scope="module")
def tails() -> dict[str, keras.Model]:
    """What lies behind every cut point of vgg16_mini."""
    model = backbones.load("vgg16_mini", weights=None).model
    return {at: cut.cut(model, at)[1] for at in backbones.CATALOGUE["vgg16_mini"].cuts}


def test_the_cut_that_leaves_blocks_4_and_5_is_right_and_no_other(told: Any, tails: dict[str, keras.Model]) -> None:
    blocks = {at: {layer.name.split("_")[0] for layer in tail.layers if layer.weights} for at, tail in tails.items()}
    right = [at for at in tails if told("00_place_the_cut", at) == "✓ Right."]
    assert right == [at for at in tails if blocks[at] == {"block4", "block5"}] == ["block3_pool"]


def test_the_earliest_cut_within_the_budget_is_right_and_no_other(told: Any, tails: dict[str, keras.Model]) -> None:
    affordable = [at for at, tail in tails.items() if tail.count_params() <= 850_000]
    assert [at for at in tails if told("03b_affordable_cut", at) == "✓ Right."] == affordable[:1]


@pytest.mark.parametrize(
    ("at", "words"), [("block3_pool", "Right."), ("block4_pool", "That is the cut at block4_pool")]
)
def test_keras_counts_as_many_trained_parameters(told: Any, tails: dict[str, keras.Model], at: str, words: str) -> None:
    head = [keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(5)]
    assert words in told("01_trained_parameters", keras.Sequential([tails[at], *head]).count_params())


def test_keras_counts_as_many_parameters_of_the_two_heads(told: Any) -> None:
    dense, inputs = keras.layers.Dense, keras.Input((7, 7, 512))
    published = keras.Sequential([inputs, keras.layers.Flatten(), dense(512), dense(5)])
    pooled = keras.Sequential([inputs, keras.layers.GlobalAveragePooling2D(), dense(5)])
    assert told("03_head_parameters", (published.count_params(), pooled.count_params())) == "✓ Right."


def test_keras_counts_as_many_parameters_of_the_small_modules(told: Any) -> None:
    inputs = keras.Input((8, 8, 64))
    adapter = keras.Model(inputs, keras.layers.Conv2D(64, 1)(keras.layers.Conv2D(8, 1)(inputs)))
    convolution = keras.layers.Conv2D(128, 3)
    convolution.build((None, 8, 8, 64))
    before = convolution.count_params()
    convolution.enable_lora(4)
    assert told("08_small_modules", (adapter.count_params(), convolution.count_params() - before)) == "✓ Right."
