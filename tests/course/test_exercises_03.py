"""The exercises of notebook 03 know the right answers and have a hint of its own for each usual wrong one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import pytest

from tlutils import course, cut
from tlutils.course import exercises
from tlutils.models import backbones

check_head = exercises.CHECKS["03_head_parameters"]
check_cut = exercises.CHECKS["03_affordable_cut"]
check_program = exercises.CHECKS["03_repaired_program"]


def counted(*layers: keras.layers.Layer) -> int:
    """Let Keras count the parameters of a head on VGG16's last activations."""
    return int(keras.Sequential([keras.Input((7, 7, 512)), *layers]).count_params())


PUBLISHED = 12_848_133  # 25,088 x 512 + 512 + 512 x 5 + 5, by hand
POOLED = 2_565  # 512 x 5 + 5


def test_the_numbers_that_keras_counts_are_right() -> None:
    dense = keras.layers.Dense
    published = counted(keras.layers.Flatten(), dense(512), dense(5))
    pooled = counted(keras.layers.GlobalAveragePooling2D(), dense(5))
    assert (published, pooled) == (PUBLISHED, POOLED)
    assert check_head((published, pooled)) is None


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        ((PUBLISHED - 517, POOLED), "forgot the biases"),
        ((PUBLISHED - 2_565, POOLED), "first dense layer alone"),
        ((512 * 512, POOLED), "Flatten turns"),
        ((PUBLISHED, ...), "Give both"),
        ((PUBLISHED, POOLED - 5), "lacks its 5 biases"),
        ((PUBLISHED, 125_445), "one number per channel"),
        ((PUBLISHED, 7), "has not 7"),
    ],
)
def test_wrong_numbers_get_their_own_hint(answer: tuple[Any, Any], hint: str) -> None:
    assert hint in (check_head(answer) or "")


def test_only_the_earliest_cut_within_the_budget_is_right() -> None:
    model = backbones.load("vgg16_mini", weights=None).model
    cuts = backbones.CATALOGUE["vgg16_mini"].cuts
    affordable = [at for at in cuts if cut.cut(model, at)[1].count_params() <= 500_000]
    assert [at for at in cuts if check_cut(at) is None] == affordable[:1]


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        ("block5_pool", "nothing to train"),
        ("block3_pool", "One block too many"),
        ("preprocess", "budget bites at the end"),
        ("block5_conv1", "is no cut point"),
        (4, "name of a cut point"),
    ],
)
def test_a_wrong_cut_gets_its_own_hint(answer: object, hint: str) -> None:
    assert hint in (check_cut(answer) or "")


def program(
    *, frozen: bool = True, flat: bool = False, outputs: int | None = None, compiled: bool = True, rate: float = 1e-3
) -> Callable[[keras.Model, int], keras.Model]:
    """Return a solution with some of the usual mistakes in it."""

    def repaired(base: keras.Model, n_classes: int) -> keras.Model:
        base.trainable = not frozen
        pool = keras.layers.Flatten() if flat else keras.layers.GlobalAveragePooling2D()
        model = keras.Sequential([base, pool, keras.layers.Dense(outputs or n_classes, activation="softmax")])
        if compiled:
            model.compile(keras.optimizers.Adam(rate), loss="categorical_crossentropy")
        return model

    return repaired


def with_sparse_labels(base: keras.Model, n_classes: int) -> keras.Model:
    model = program()(base, n_classes)
    model.compile("adam", loss=keras.losses.SparseCategoricalCrossentropy())
    return model


def all_frozen(base: keras.Model, n_classes: int) -> keras.Model:
    model = program()(base, n_classes)
    model.trainable = False
    model.compile("adam", loss="categorical_crossentropy")
    return model


def old_argument(base: keras.Model, n_classes: int) -> keras.Model:
    return keras.optimizers.Adam(lr=1e-3)


@pytest.mark.parametrize("answer", [program(), with_sparse_labels])
def test_a_repaired_program_is_right(answer: Callable[..., Any]) -> None:
    assert check_program(answer) is None


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (program(frozen=False), "Fault 1"),
        (program(flat=True), "Fault 7"),
        (program(outputs=1000), "1000 outputs"),
        (program(compiled=False), "Compile the model"),
        (program(rate=1.0), "too large for Adam"),
        (all_frozen, "Everything is frozen"),
        (old_argument, "stops with"),
        (lambda base, n_classes: base, "outputs; it should have"),
        (lambda base, n_classes: "a model", "Return a keras.Model"),
        ("a model", "Define a function"),
    ],
)
def test_a_program_with_a_fault_left_gets_its_own_hint(answer: Callable[..., Any], hint: str) -> None:
    assert hint in (check_program(answer) or "")


@pytest.mark.parametrize(
    ("name", "untouched"),
    [
        ("03_head_parameters", (..., ...)),
        ("03_affordable_cut", ...),
        ("03_repaired_program", lambda base, n_classes: None),
    ],
)
def test_an_untouched_stub_counts_as_not_solved(
    name: str, untouched: object, capsys: pytest.CaptureFixture[str]
) -> None:
    course.check(name, untouched)
    assert "Not solved yet" in capsys.readouterr().out
