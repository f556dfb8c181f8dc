"""Measure what the course promises about speed, as ratios within one run; `make bench` runs this.

Absolute seconds belong to the machine; a ratio of two programs measured one after the other on the same machine belongs
to the programs. Writes build/bench.json and prints it as a table.
"""

from __future__ import annotations

import functools
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
EPOCHS = 20


def timed(action: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    result = action()
    return time.perf_counter() - start, result


def pooled_head(shape: tuple[int, ...], n_classes: int, seed: int = 0) -> Any:
    import keras

    keras.utils.set_random_seed(seed)
    return keras.Sequential([keras.Input(shape), keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(n_classes)])


def right(model: Any, inputs: np.ndarray, labels: np.ndarray) -> float:
    return float(np.mean(model.predict(np.asarray(inputs), verbose=0).argmax(axis=1) == labels))


def head_speedup(base: Any, data: Any, n_train: int) -> dict[str, float]:
    """Twenty epochs of a frozen base in the usual loop, against the trunk computed once and a head on its output."""
    import keras

    from tlutils import tuning
    from tlutils.cut import compute_once

    pictures, labels = data.resized(base.image_size), data.labels
    base.model.trainable = False
    head_shape, n_classes = base.model.output_shape[1:], len(data.class_names)
    usual = keras.Sequential([base.model, pooled_head(head_shape, n_classes)])
    train = {"epochs": EPOCHS, "learning_rate": 1e-3}
    usual_seconds, _ = timed(lambda: tuning.train(usual, pictures[:n_train], labels[:n_train], **train))

    def ours() -> Any:
        stored = compute_once(base.model, pictures[:n_train])
        head = pooled_head(head_shape, n_classes)
        tuning.train(head, stored, labels[:n_train], **train)
        return head

    our_seconds, head = timed(ours)
    validation = compute_once(base.model, pictures[n_train:])
    return {
        "ratio": usual_seconds / our_seconds,
        "usual_seconds": usual_seconds,
        "our_seconds": our_seconds,
        "usual_accuracy": right(usual, pictures[n_train:], labels[n_train:]),
        "our_accuracy": right(head, validation, labels[n_train:]),
    }


def block5_speedup(base: Any, data: Any) -> dict[str, float]:
    """One epoch of fine-tuning block 5: the usual loop through all of VGG16, against the tail on stored activations."""
    import keras

    from tlutils import tuning
    from tlutils.cut import compute_once, cut

    pictures, labels = data.resized(base.image_size)[:96], data.labels[:96]
    n_classes = len(data.class_names)
    trunk, tail = cut(base.model, "block4_pool")
    stored = np.asarray(compute_once(trunk, pictures))

    whole = tuning.copy(base.model)
    for layer in whole.layers:
        layer.trainable = layer.name.startswith("block5")
    usual = keras.Sequential([whole, pooled_head(whole.output_shape[1:], n_classes)])
    top = tuning.copy(tail)
    ours = keras.Sequential([top, pooled_head(whole.output_shape[1:], n_classes)])
    for model, inputs in ((usual, pictures), (ours, stored)):
        tuning.train(model, inputs[:32], labels[:32], epochs=1, learning_rate=1e-5)  # traces the training step
    usual_seconds, _ = timed(lambda: usual.fit(pictures, labels, batch_size=32, verbose=0))
    our_seconds, _ = timed(lambda: ours.fit(stored, labels, batch_size=32, verbose=0))
    return {"ratio": usual_seconds / our_seconds, "usual_seconds": usual_seconds, "our_seconds": our_seconds}


def published_ratio(labels_per_class: int = 100) -> dict[str, float]:
    """The published program (all layers, 20 epochs) against ours to the same or better test accuracy."""
    import keras

    from tlutils import datasets, tuning
    from tlutils.cut import compute_once, cut
    from tlutils.models import backbones

    train = datasets.load("synthetic_flowers", per_class=labels_per_class, seed=1)
    test = datasets.load("synthetic_flowers", per_class=100, seed=2)
    base = backbones.load("vgg16_mini")
    bare = tuning.copy(cut(base.model, "preprocess")[1])
    keras.utils.set_random_seed(0)
    published = keras.Sequential(
        [
            bare,
            keras.layers.Flatten(),
            keras.layers.Dense(512, activation="relu"),
            keras.layers.Dense(5, activation="softmax"),
        ]
    )
    published.compile(keras.optimizers.Adam(1e-4), "sparse_categorical_crossentropy", jit_compile=False)
    published_seconds, _ = timed(
        lambda: published.fit(train.pictures / 255.0, train.labels, batch_size=32, epochs=EPOCHS, verbose=0)
    )

    def ours() -> Any:
        return tuning.train_head(compute_once(base.model, train.pictures), train.labels, 5)

    our_seconds, head = timed(ours)
    return {
        "ratio": published_seconds / our_seconds,
        "published_seconds": published_seconds,
        "our_seconds": our_seconds,
        "published_accuracy": right(published, test.pictures / 255.0, test.labels),
        "our_accuracy": right(head, compute_once(base.model, test.pictures), test.labels),
    }


def extract_efficiency(n: int = 64) -> dict[str, float]:
    """VGG16 forward GFLOP/s in compute_once over the machine's matrix-product GFLOP/s in the same library."""
    import keras

    from tlutils.cut import compute_once
    from tlutils.models import backbones

    side = 2048
    matrix = keras.ops.convert_to_tensor(np.random.default_rng(0).random((side, side), dtype=np.float32))

    def multiply() -> None:
        np.asarray(keras.ops.convert_to_numpy(keras.ops.matmul(matrix, matrix)))

    multiply()
    product = 2 * side**3 / min(timed(multiply)[0] for _ in range(10)) / 1e9

    base = backbones.load("vgg16", weights=None)
    rng = np.random.default_rng(0)
    compute_once(base.model, rng.integers(0, 256, (32, 224, 224, 3), dtype=np.uint8))  # traces the forward pass
    pictures = rng.integers(0, 256, (n, 224, 224, 3), dtype=np.uint8)
    seconds, _ = timed(lambda: compute_once(base.model, pictures))
    layers = [layer for layer in base.model.layers if "conv" in layer.name]
    operations = sum(2 * 9 * layer.input.shape[-1] * int(np.prod(layer.output.shape[1:])) for layer in layers)
    forward = n * operations / seconds / 1e9
    return {"ratio": forward / product, "forward_gflops": forward, "matrix_product_gflops": product}


def engine_speedup(base: Any, n: int, rounds: int = 7) -> dict[str, float]:
    """Pictures per second with LiteRT over those with Keras, two batches at a time, as `compute_once` runs either.

    The ratio is that of the best of several rounds, in turns, since disturbances only add; `processor_ratio` that of
    processor seconds, in which other programs count least; `ratio_to_one_by_one` is against Keras one batch at a time.
    """
    from tlutils import inference

    size = base.image_size
    pictures = np.random.default_rng(0).integers(0, 256, (n, size, size, 3), dtype=np.uint8)
    conversion, lite = timed(lambda: inference.lite(base.model, pictures[: inference.BATCH]))
    if lite is None:
        sys.exit(f"{base.name} could not be converted; is ai-edge-litert installed?")

    def through(forward: Callable[[Any], Any], batch: int, workers: int) -> tuple[float, float]:
        """Give the seconds of the clock and of the processor."""
        batches = np.split(pictures, n // batch)
        began = time.process_time()
        with ThreadPoolExecutor(workers) as pool:
            seconds, _ = timed(lambda: list(pool.map(forward, batches)))
        return seconds, time.process_time() - began

    ways = {
        "lite": (lite, inference.BATCH, 2),
        "keras": (base.model.predict_on_batch, 32, 2),
        "one_by_one": (base.model.predict_on_batch, 32, 1),
    }
    for way in ways.values():
        through(*way)
    found = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            found[name].append(through(*way))
    clock = {name: min(seconds for seconds, _ in runs) for name, runs in found.items()}
    processor = {name: float(np.median([seconds for _, seconds in runs])) for name, runs in found.items()}
    return {
        "ratio": clock["keras"] / clock["lite"],
        "processor_ratio": processor["keras"] / processor["lite"],
        "ratio_to_one_by_one": clock["one_by_one"] / clock["lite"],
        "lite_pictures_per_second": n / clock["lite"],
        "conversion_seconds": conversion,
    }


def memory_of_compute_once(name: str, count: int, side: int) -> dict[str, float]:
    """Peak memory and seconds of compute_once on square pictures read from disk, in a process of its own."""
    from PIL import Image

    from tlutils.synthetic import shapes

    drawn = shapes.flowers(per_class=20, seed=0).pictures
    with tempfile.TemporaryDirectory() as folder:
        for index in range(count):
            target = Path(folder) / "pictures" / f"class{index % 2}"
            target.mkdir(parents=True, exist_ok=True)
            # A pixel of its own makes every picture different, so nothing is a duplicate.
            picture = Image.fromarray(drawn[index % len(drawn)]).resize((side, side))
            picture.putpixel((index % side, index // side), (255, 0, 0))
            picture.save(target / f"{index:05}.png", compress_level=1)
        environment = os.environ | {"TLUTILS_CACHE": str(Path(folder) / "cache"), "TQDM_DISABLE": "1"}
        command = [sys.executable, __file__, "memory", str(Path(folder) / "pictures"), name]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def _memory_child(folder: str, name: str) -> None:
    """What `memory_of_compute_once` runs in a fresh process."""
    from tlutils import datasets, settings
    from tlutils.cut import compute_once
    from tlutils.models import backbones

    settings.check()
    base = backbones.load(name, weights=None)
    reading, data = timed(lambda: datasets.from_folder(folder).resized(base.image_size))
    seconds, _ = timed(lambda: compute_once(base.model, data))
    found = {"count": len(data), "reading": reading, "seconds": seconds, "peak_gigabytes": peak_bytes() / 1e9}
    print(json.dumps(found))


@functools.cache
def folder(count: int = 10_000) -> dict[str, float]:
    """A folder of pictures of 227x227 opened, checked and passed through EfficientNet-Lite0, all from nothing."""
    run = memory_of_compute_once("efficientnet_lite0", count, 227)
    return {
        "seconds_per_picture": (run["reading"] + run["seconds"]) / run["count"],
        "peak_gigabytes": run["peak_gigabytes"],
    }


def peak_bytes() -> int:
    """Most memory that this process has held."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # macOS counts bytes
    # Linux' ru_maxrss would begin with the peak of the process that started this one.
    [line] = [line for line in status.read_text(encoding="ascii").splitlines() if line.startswith("VmHWM")]
    return 1024 * int(line.split()[1])


def import_seconds() -> float:
    """Seconds of `import tlutils` beyond the start of Python; the smallest of five, since disturbances only add."""

    def start(statement: str) -> float:
        return min(timed(lambda: subprocess.run([sys.executable, "-c", statement], check=True))[0] for _ in range(5))

    return start("import tlutils") - start("pass")


def slope_of_compute_once() -> dict[str, float]:
    """Whether seconds grow in proportion to the pictures, and memory does not grow with them."""
    runs = [memory_of_compute_once("mobilenet", count, 224) for count in (2500, 5000, 10000)]
    counts, seconds = (np.array([run[key] for run in runs]) for key in ("count", "seconds"))
    slope, intercept = np.polyfit(counts, seconds, 1)
    return {
        "peak_gigabytes": runs[-1]["peak_gigabytes"],
        "milliseconds_per_picture": 1000 * slope,
        "intercept_seconds": intercept,
        "correlation": float(np.corrcoef(counts, seconds)[0, 1]),
    }


def napping(folder: Path, seconds: float) -> Path:
    """A notebook that sleeps."""
    import nbformat

    notebook = nbformat.v4.new_notebook()
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook.metadata.language_info = {"name": "python"}
    notebook.cells = [
        nbformat.v4.new_code_cell("seed: int = 0  # any", metadata={"tags": ["parameters"]}),
        nbformat.v4.new_code_cell(f"import time; time.sleep({seconds})"),
    ]
    nbformat.write(notebook, folder / "nap.ipynb")
    return folder / "nap.ipynb"


def sweep_speedup(count: int = 12, nap: float = 1.0) -> dict[str, float]:
    """Short runs a second with two workers over those with one."""
    from tlutils import runs

    with tempfile.TemporaryDirectory() as made:
        notebook = napping(Path(made), nap)
        one, two = (
            timed(lambda w=workers: runs.sweep(notebook, {"seed": range(count)}, Path(made) / f"{w}", workers=w))[0]
            for workers in (1, 2)
        )
    return {"ratio": one / two, "seconds_with_one": one, "seconds_with_two": two}


def sweep_overhead(count: int = 6) -> dict[str, float]:
    """Seconds a run of a sweep over those of plain papermill, as a command and in a process that is already there."""
    import papermill

    from tlutils import runs

    with tempfile.TemporaryDirectory() as made:
        notebook, copy = napping(Path(made), 0.1), Path(made) / "copy.ipynb"
        command = [sys.executable, "-m", "papermill", str(notebook), str(copy), "--no-progress-bar", "-p", "seed"]

        def by_command() -> None:
            for seed in range(count):
                subprocess.run([*command, str(seed)], check=True, capture_output=True)

        def in_one_process() -> None:
            for seed in range(count):
                papermill.execute_notebook(str(notebook), str(copy), {"seed": seed}, progress_bar=False)

        ways = (
            lambda: runs.sweep(notebook, {"seed": range(count)}, Path(made) / "out", workers=1),
            by_command,
            in_one_process,
        )
        ours, plain, warm = (timed(way)[0] / count for way in ways)
    return {"seconds": ours - plain, "seconds_a_run": ours, "seconds_over_one_process": ours - warm}


def flowers(per_class: int = 400) -> Any:
    from tlutils import datasets

    return datasets.load("synthetic_flowers", per_class=per_class, seed=1)


def network(name: str, **options: Any) -> Any:
    from tlutils.models import backbones

    return backbones.load(name, **options)


# What is measured, the number that the course promises of it, and the promise.
MEASURES: dict[str, tuple[Callable[[], dict[str, float]], str, str]] = {
    "import_tlutils": (lambda: {"seconds": import_seconds()}, "seconds", "at most 0.3"),
    "sweep_speedup": (sweep_speedup, "ratio", "at least 1.6 on two idle cores"),
    "sweep_overhead": (sweep_overhead, "seconds", "at most 0.5"),
    "head_speedup": (lambda: head_speedup(network("vgg16_mini"), flowers(), 1500), "ratio", "at least 10"),
    "head_speedup_vgg16": (
        lambda: head_speedup(network("vgg16", weights=None, image_size=128), flowers(29).subset(slice(144)), 96),
        "ratio",
        "at least 15",
    ),
    "block5_speedup": (
        lambda: block5_speedup(network("vgg16", weights=None, image_size=128), flowers(29).subset(slice(144))),
        "ratio",
        "at least 3.5",
    ),
    "published_ratio": (published_ratio, "ratio", "at least 20"),
    "extract_efficiency": (extract_efficiency, "ratio", "at least 0.8"),
    "engine_speedup": (
        lambda: engine_speedup(network("efficientnet_lite0", weights=None), 64),
        "processor_ratio",
        "at least 1.7",
    ),
    "engine_speedup_mobilenet": (
        lambda: engine_speedup(network("mobilenet", weights=None), 128),
        "processor_ratio",
        "at least 1.7",
    ),
    # What LiteRT would give where `inference.pays` leaves the network to Keras.
    "engine_speedup_vgg16_mini": (
        lambda: engine_speedup(network("vgg16_mini"), 512),
        "processor_ratio",
        "near 1 or below, so not used",
    ),
    "engine_speedup_vgg16": (
        lambda: engine_speedup(network("vgg16", weights=None), 32, rounds=1),
        "processor_ratio",
        "near 1 or below, so not used",
    ),
    "folder_seconds_per_picture": (folder, "seconds_per_picture", "at most 0.05 on two idle cores"),
    "folder_peak_memory": (folder, "peak_gigabytes", "at most 2"),
    "compute_once": (slope_of_compute_once, "peak_gigabytes", "at most 2"),
}


def main(only: str) -> None:
    """Measure everything, or what `only` names; print each result and write the file as soon as it is there."""
    if only and only not in MEASURES:
        sys.exit(f"ONLY={only} is unknown; choose one of {', '.join(MEASURES)}.")
    os.environ.setdefault("TQDM_DISABLE", "1")
    from tlutils import settings

    settings.check()
    BUILD.mkdir(exist_ok=True)
    file = BUILD / "bench.json"
    found = json.loads(file.read_text(encoding="utf-8")) if only and file.is_file() else {}
    with tempfile.TemporaryDirectory() as cache:
        os.environ["TLUTILS_CACHE"] = cache
        for name in [only] if only else MEASURES:
            measure, promised, promise = MEASURES[name]
            found[name] = measure()
            file.write_text(json.dumps(found, indent=2), encoding="utf-8")
            rest = ", ".join(f"{key} {value:.2f}" for key, value in found[name].items() if key != promised)
            said = f"{name:26} {promised} {found[name][promised]:.2f}, {promise}"
            print(f"{said} ({rest})" if rest else said, flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["memory"]:
        _memory_child(*sys.argv[2:])
    else:
        main("".join(sys.argv[1:]))
