"""Pretrain vgg16_mini on a synthetic source task and write its weights with their data card."""

from __future__ import annotations

import hashlib
import os
import platform
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tlutils import settings, store, tuning
from tlutils.models import architectures, backbones
from tlutils.synthetic import shapes

if TYPE_CHECKING:
    import keras

# While training, inputs are divided by this, so that they have about unit variance; afterwards the first kernel absorbs
# the factor and the network takes VGG16's own input, as its famous relative does.
_INPUT_SCALE = 64.0

# Pictures of each of the sixty kinds that are never trained on.
_HELD_OUT = 50


def fold_batch_normalisation(base: keras.Model) -> keras.Model:
    """Move every BatchNormalization of a pretrained vgg16_mini, and the input scale, into the convolution before it.

    In inference, BatchNormalization is gamma * (x - mean) / sqrt(variance + epsilon) + beta, an affine map of each
    channel (Ioffe & Szegedy 2015, algorithm 2), and so is a convolution: one can do the work of both.

    Parameters
    ----------
    base : keras.Model
        From `architectures.vgg16_mini(batch_normalised=True)`, fed pictures divided by 64.

    Returns
    -------
    keras.Model
        The plain vgg16_mini that computes the same from undivided pictures.
    """
    plain = architectures.vgg16_mini(base.input_shape[1])
    for layer in plain.layers:
        if not layer.weights:
            continue
        kernel, bias = base.get_layer(layer.name).get_weights()
        normalisation = base.get_layer(f"{layer.name}_bn")
        gamma, beta, mean, variance = normalisation.get_weights()
        factor = gamma / np.sqrt(variance + normalisation.epsilon)
        kernel = kernel * factor
        if layer.name == "block1_conv1":
            kernel = kernel / _INPUT_SCALE
        layer.set_weights([kernel, beta + (bias - mean) * factor])
    return plain


def _vgg_input(pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
    return pictures[..., ::-1].astype(np.float32) - np.array(backbones.VGG_MEAN_BGR, dtype=np.float32)


def _source_batches(task: str, per_class: int, batch_size: int, seed: int) -> keras.utils.PyDataset:
    """Shuffled batches of new pictures in every epoch: a drawn source never runs out, so none is seen twice."""
    import keras

    def draw(epoch: int) -> shapes.World:
        return shapes.source_shapes(per_class, seed=10_000 + 1000 * seed + epoch, task=task)

    class SourceBatches(keras.utils.PyDataset):
        epoch = drawn = 0
        world = draw(0)

        def __len__(self) -> int:
            return len(self.world.labels) // batch_size

        def __getitem__(self, index: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
            if self.drawn != self.epoch:
                self.world, self.drawn = draw(self.epoch), self.epoch
            order = np.random.default_rng([seed, self.epoch]).permutation(len(self.world.labels))
            chosen = order[index * batch_size : (index + 1) * batch_size]
            return _vgg_input(self.world.pictures[chosen]) / _INPUT_SCALE, self.world.labels[chosen]

    return SourceBatches()


def pretrain(
    output: Path,
    *,
    task: str = "shapes",
    per_class: int = 400,
    epochs: int = 16,
    seed: int = 0,
    checkpoint_dir: Path,
) -> dict[str, Any]:
    """Train vgg16_mini on `shapes.source_shapes`; write its weights as float16, a data card and a checksum beside them.

    Adam with a cosine decay from 1e-3 after one warm-up epoch; batches of 64. Killed, it goes on from the last full
    epoch in `checkpoint_dir`.

    Parameters
    ----------
    output : Path
        The ``.npz`` to write; the card takes the same name with ``.md``.
    task : str
        What the network learns to tell of the source pictures: a key of `shapes.SOURCE_TASKS`.
    per_class : int
        Source pictures of each of the sixty kinds, drawn anew for every epoch; 2 or more, so that a batch is full.
    epochs, seed : int
    checkpoint_dir : Path
        Folder for the state between epochs.

    Returns
    -------
    dict
        What the card says: accuracy (on 3,000 pictures never trained on, with the weights as written), seconds per
        epoch, sha256, parameters and what else is needed to do it again.
    """
    import keras

    keras.utils.set_random_seed(seed)
    held_out = shapes.source_shapes(_HELD_OUT, seed=2000 + seed, task=task)
    batches = _source_batches(task, per_class, batch_size=64, seed=seed)

    base = architectures.vgg16_mini(batch_normalised=True)
    classifier = keras.layers.Dense(len(held_out.class_names), name="source_classes")
    model = keras.Sequential([base, keras.layers.GlobalAveragePooling2D(), classifier])
    steps = len(batches)
    model.compile(
        keras.optimizers.Adam(
            keras.optimizers.schedules.CosineDecay(
                1e-5, decay_steps=(epochs - 1) * steps, warmup_target=1e-3, warmup_steps=steps
            )
        ),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        jit_compile=False,
    )
    started = time.perf_counter()
    history = model.fit(
        batches,
        epochs=epochs,
        verbose=2,
        callbacks=[
            keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: setattr(batches, "epoch", epoch)),
            keras.callbacks.BackupAndRestore(checkpoint_dir),
        ],
        validation_data=(_vgg_input(held_out.pictures) / _INPUT_SCALE, held_out.labels),
    )
    seconds_per_epoch = (time.perf_counter() - started) / max(len(history.epoch), 1)

    plain = fold_batch_normalisation(base)
    weights = {
        f"{layer.name}/{variable.name}": keras.ops.convert_to_numpy(variable).astype(np.float16)
        for layer in (*plain.layers, classifier)
        for variable in layer.weights
    }
    with settings.replacing(output) as temporary:
        with temporary.open("wb") as file:
            np.savez(file, **weights)
        facts = {
            "accuracy": _accuracy_as_written(temporary, task, held_out),
            "seconds_per_epoch": round(seconds_per_epoch),
            "sha256": hashlib.sha256(temporary.read_bytes()).hexdigest(),
            "parameters": plain.count_params(),
            "source_pictures": epochs * per_class * len(shapes.SOURCE_TASKS["shapes"]),
            "epochs": epochs,
            "seed": seed,
            "machine": f"{os.cpu_count()} cores {platform.machine()}",
            "library": f"Keras {keras.__version__} on {keras.backend.backend()}",
        }
        _write(output.with_suffix(".md"), _card(output.name, task, facts, per_class))
    store.note_checksum(output)
    return facts


def _accuracy_as_written(path: Path, task: str, world: shapes.World) -> float:
    """Accuracy of the network that a reader will load, its source classes included."""
    model = backbones.load(backbones.MINI[task], weights=path, top=True).model
    return float(np.mean(tuning.predict(model, world.pictures) == world.labels))


def _write(path: Path, text: str) -> None:
    with settings.replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def _card(name: str, task: str, facts: dict[str, Any], per_class: int) -> str:
    told = {
        "shapes": "sixty classes, ten outlines times six textures",
        "outlines": "ten outlines",
        "textures": "six textures",
    }
    command = f"tlutils pretrain --output data/{name} --task {task} --seed {facts['seed']} --epochs {facts['epochs']}"
    command += f" --per-class {per_class}"
    return f"""# {name}

Weights of vgg16_mini, VGG16's thirteen convolutions with a quarter of the channels
({facts["parameters"]:,} parameters), and of the classifier of its source task. Made by this project, Apache-2.0.

| | |
|---|---|
| source task | {task}: {told[task]}, of synthetic pictures (`tlutils.synthetic.shapes.source_shapes`) |
| pictures | {facts["source_pictures"]:,} of 64x64, none seen twice; colours carry no information |
| accuracy | {facts["accuracy"]:.3f} on 3,000 source pictures never trained on, with these float16 weights |
| training | Adam, cosine decay from 1e-3, {facts["epochs"]} epochs, batches of 64, seed {facts["seed"]} |
| normalisation | trained with BatchNormalization, folded into the convolutions afterwards |
| time | {facts["seconds_per_epoch"]} seconds per epoch on {facts["machine"]}, {facts["library"]} |
| input | VGG16's own: blue, green, red, 0 to 255, minus ImageNet's mean |
| format | NumPy `.npz` of float16 arrays named `layer/variable`, no pickled objects |
| SHA-256 | `{facts["sha256"]}` |
| command | `{command}` |

Not for use on photographs: it has seen drawn shapes only. Notebook 01 shows what happens.
"""
