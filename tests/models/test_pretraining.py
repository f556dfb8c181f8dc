"""Pretraining, on a task small enough for a test."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from tlutils import cli, settings
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
    expected = keras.ops.convert_to_numpy(trained(pictures / 64, training=False))
    folded = pretraining.fold_batch_normalisation(trained)
    assert not any(isinstance(layer, keras.layers.BatchNormalization) for layer in folded.layers)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(folded(pictures)), expected, rtol=1e-3, atol=1e-4)


@pytest.mark.slow
def test_pretraining_writes_weights_card_and_checksum_together_and_repeats_itself(tmp_path, monkeypatch):
    monkeypatch.setattr(pretraining, "_HELD_OUT", 1)
    digests = []
    for run in ("first", "second"):
        output = tmp_path / run / "vgg16_mini_textures.npz"
        output.parent.mkdir()
        facts = pretraining.pretrain(
            output, task="textures", per_class=2, epochs=2, seed=0, checkpoint_dir=tmp_path / f"{run}_checkpoint"
        )
        digests.append(facts["sha256"])
    assert digests[0] == digests[1]
    names = ["checksums.json", "vgg16_mini_textures.md", "vgg16_mini_textures.npz"]
    assert sorted(path.name for path in output.parent.iterdir()) == names
    assert output.stat().st_size < 2.5e6
    card = output.with_suffix(".md").read_text(encoding="utf-8")
    assert digests[0] in card and "six textures" in card
    assert "tlutils pretrain --output data/vgg16_mini_textures.npz --task textures --seed 0 --epochs 2" in card
    monkeypatch.setattr(settings, "DATA", output.parent)
    assert backbones.load("vgg16_mini_textures", top=True).model.output_shape == (None, 6)


def test_the_command_line_offers_every_source_task():
    [task] = [option for option in cli.main.commands["pretrain"].params if option.name == "task"]
    assert tuple(task.type.choices) == tuple(shapes.SOURCE_TASKS)
