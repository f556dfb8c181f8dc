"""Pretraining, on a task small enough for a test."""

from __future__ import annotations

import keras
import numpy as np

from tlutils import cli
from tlutils.models import architectures, backbones, pretraining
from tlutils.synthetic import shapes


def test_folding_batch_normalisation_changes_no_output():
    keras.utils.set_random_seed(0)
    trained = architectures.vgg16_mini(32, batch_normalised=True)
    rng = np.random.default_rng(0)
    for layer in trained.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            channels = layer.gamma.shape[0]
            gamma, beta, mean = rng.uniform(0.5, 1.5, channels), rng.normal(size=channels), rng.normal(size=channels)
            layer.set_weights([gamma, beta, mean, rng.uniform(0.5, 2, channels)])
    pictures = rng.normal(0, 60, size=(2, 32, 32, 3)).astype("float32")
    expected = trained.predict(pictures / 64, verbose=0)
    folded = pretraining.fold_batch_normalisation(trained)
    assert not any(isinstance(layer, keras.layers.BatchNormalization) for layer in folded.layers)
    np.testing.assert_allclose(folded.predict(pictures, verbose=0), expected, rtol=1e-3, atol=1e-4)


def test_pretraining_writes_weights_card_and_checksum_together_and_repeats_itself(tmp_path):
    digests = []
    for run in ("first", "second"):
        folder = tmp_path / run
        folder.mkdir()
        facts = pretraining.pretrain(
            folder / "vgg16_mini.npz", per_class=2, epochs=2, seed=0, checkpoint_dir=tmp_path / f"{run}_checkpoint"
        )
        digests.append(facts["sha256"])
        card = (folder / "vgg16_mini.md").read_text(encoding="utf-8")
        assert facts["sha256"] in card
        assert (folder / "vgg16_mini.npz").stat().st_size < 2.5e6
        assert sorted(path.name for path in folder.iterdir()) == ["checksums.json", "vgg16_mini.md", "vgg16_mini.npz"]
    assert digests[0] == digests[1]


def test_pretraining_on_textures_makes_six_classes_and_a_card_that_says_how_to_repeat_it(tmp_path):
    output = tmp_path / "vgg16_mini_textures.npz"
    pretraining.pretrain(output, task="textures", per_class=2, epochs=2, seed=0, checkpoint_dir=tmp_path / "state")
    base = backbones.load("vgg16_mini_textures", weights=output, top=True)
    assert base.model.output_shape == (None, 6)
    card = output.with_suffix(".md").read_text(encoding="utf-8")
    assert "six textures" in card
    assert "tlutils pretrain --output data/vgg16_mini_textures.npz --task textures --seed 0 --epochs 2" in card


def test_the_command_line_offers_every_source_task():
    [task] = [option for option in cli.main.commands["pretrain"].params if option.name == "task"]
    assert tuple(task.type.choices) == tuple(shapes.SOURCE_TASKS)
