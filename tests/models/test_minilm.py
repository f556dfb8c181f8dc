"""MiniLM computes what its publisher's equations say, however the texts are padded, ordered and cut."""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from tlutils import cut
from tlutils.models import minilm, wordpiece
from tlutils.settings import UserError

Array = np.ndarray[Any, Any]

TEXTS = [
    "The kettle works.",
    "An unputdownable paperback, and I would read it twice.",
    "Loud.",
    "Clean room, caf\u00e9 too.",
]


pytestmark = pytest.mark.network


@pytest.fixture(scope="module")
def encoder(minilm_folder: Path) -> minilm.Encoder:
    """Load the encoder once."""
    return minilm.load()


def run(model: keras.Model, tokens: Array) -> Array:
    """Run a model in inference mode on all rows at once."""
    return np.asarray(keras.ops.convert_to_numpy(model(tokens, training=False)))


def parameters(path: Path) -> dict[str, Array]:
    """Read a file of safetensors: the length of a header, the header in JSON, the numbers."""
    content = path.read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    tensors = {}
    for name, entry in json.loads(content[8:start]).items():
        if entry.get("dtype") == "F32":
            first, last = entry["data_offsets"]
            tensors[name] = np.frombuffer(content[start + first : start + last], "<f4").reshape(entry["shape"])
    return {name: tensor.astype(np.float64) for name, tensor in tensors.items()}


def bert(p: dict[str, Array], tokens: list[int], heads: int) -> Array:
    """Embed one text without padding: Devlin et al. 2019, section 3, then the mean over tokens, at length 1."""

    def dense(x: Array, name: str) -> Array:
        return x @ p[f"{name}.weight"].T + p[f"{name}.bias"]

    def norm(x: Array, name: str) -> Array:
        centred = x - x.mean(axis=-1, keepdims=True)
        spread = np.sqrt((centred**2).mean(axis=-1, keepdims=True) + 1e-12)
        return centred / spread * p[f"{name}.weight"] + p[f"{name}.bias"]

    words, places = p["embeddings.word_embeddings.weight"], p["embeddings.position_embeddings.weight"]
    segment = p["embeddings.token_type_embeddings.weight"][0]
    x = norm(words[tokens] + places[: len(tokens)] + segment, "embeddings.LayerNorm")
    gelu = np.vectorize(lambda value: value * (1 + math.erf(value / math.sqrt(2))) / 2)
    for number in range(6):
        at = f"encoder.layer.{number}"
        q, k, v = (dense(x, f"{at}.attention.self.{name}") for name in ("query", "key", "value"))
        mixed = []
        for part in np.split(np.arange(x.shape[1]), heads):
            weight = np.exp(q[:, part] @ k[:, part].T / math.sqrt(len(part)))
            mixed.append(weight / weight.sum(axis=1, keepdims=True) @ v[:, part])
        x = norm(x + dense(np.hstack(mixed), f"{at}.attention.output.dense"), f"{at}.attention.output.LayerNorm")
        inner = gelu(dense(x, f"{at}.intermediate.dense"))
        x = norm(x + dense(inner, f"{at}.output.dense"), f"{at}.output.LayerNorm")
    pooled = x.mean(axis=0)
    return np.asarray(pooled / np.sqrt(pooled @ pooled))


def test_embeddings_follow_the_equations_of_bert_with_the_exact_gelu(
    minilm_folder: Path, encoder: minilm.Encoder
) -> None:
    weights = parameters(minilm_folder / "model.safetensors")
    heads = json.loads((minilm_folder / "config.json").read_text(encoding="utf-8"))["num_attention_heads"]
    found = minilm.embed(encoder, TEXTS[:2])
    for text, vector in zip(TEXTS[:2], found, strict=True):
        [tokens] = encoder.tokenize([text]).tolist()
        np.testing.assert_allclose(vector, bert(weights, tokens, heads), atol=1e-4)


def test_the_tokens_are_those_of_the_published_vocabulary(minilm_folder: Path, encoder: minilm.Encoder) -> None:
    vocabulary = (minilm_folder / "vocab.txt").read_text(encoding="utf-8").splitlines()
    tokens = encoder.tokenize(["An unputdownable caf\u00e9.", "No."])
    written = [" ".join(vocabulary[token] for token in row) for row in tokens]
    assert written[0] == "[CLS] an un ##put ##down ##able cafe . [SEP]"
    assert written[1] == "[CLS] no . [SEP] [PAD] [PAD] [PAD] [PAD] [PAD]"


def test_texts_of_many_lengths_come_back_in_their_order(
    encoder: minilm.Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(minilm, "_TOKENS_PER_BATCH", 24)
    together = minilm.embed(encoder, TEXTS)
    alone = np.concatenate([minilm.embed(encoder, [text]) for text in TEXTS])
    np.testing.assert_allclose(together, alone, atol=1e-5)
    assert np.abs(alone[0] - alone[1:]).max(axis=1).min() > 0.01


def test_padding_changes_nothing_and_is_zero_at_every_cut(encoder: minilm.Encoder) -> None:
    tokens = encoder.tokenize(TEXTS[:1])
    padded = np.pad(tokens, ((0, 0), (0, 9)))
    np.testing.assert_allclose(run(encoder.model, padded), run(encoder.model, tokens), atol=1e-5)
    for at in encoder.cuts:
        trunk, _ = cut.cut(encoder.model, at)
        short, long = run(trunk, tokens), run(trunk, padded)
        np.testing.assert_allclose(long[:, : tokens.shape[1]], short, atol=1e-4, err_msg=at)
        assert not long[:, tokens.shape[1] :].any(), at


@pytest.mark.parametrize("at", ["embeddings", "transformer_layer_3"])
def test_trunk_then_tail_equals_the_whole(
    encoder: minilm.Encoder, at: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TLUTILS_CACHE", str(tmp_path))
    trunk, tail = cut.cut(encoder.model, at)
    tokens = encoder.tokenize(TEXTS)
    stored = minilm.compute_once(trunk, tokens)
    assert stored.shape == (*tokens.shape, 384)
    np.testing.assert_allclose(run(tail, np.asarray(stored)), run(encoder.model, tokens), atol=1e-5)


@pytest.mark.slow
def test_a_saved_model_reads_texts_where_only_keras_is_installed(encoder: minilm.Encoder, tmp_path: Path) -> None:
    trunk, tail = cut.cut(encoder.model, "transformer_layer_4")
    head = keras.Sequential([keras.Input((384,)), keras.layers.Dense(2)])
    whole = cut.join(trunk, tail, head)
    assert whole.input.dtype == "int32"
    whole.save(tmp_path / "model.keras")
    (tmp_path / "vocabulary.txt").write_text("\n".join(encoder.tokenizer.vocabulary), encoding="utf-8")
    shutil.copy(wordpiece.__file__, tmp_path)
    script = """
import json, sys
for package in ("tlutils", "keras_hub", "tokenizers"):
    sys.modules[package] = None  # importing it fails
import keras, numpy as np
from wordpiece import WordPiece
read = WordPiece(open("vocabulary.txt", encoding="utf-8").read().split())
tokens = np.array(read.batch([read(text) for text in json.loads(sys.argv[1])], 128))
print(json.dumps(keras.saving.load_model("model.keras").predict(tokens, verbose=0).tolist()))
"""
    outcome = subprocess.run(
        [sys.executable, "-c", script, json.dumps(TEXTS)],
        cwd=tmp_path,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        capture_output=True,
        text=True,
    )
    assert outcome.returncode == 0, outcome.stderr
    found = json.loads(outcome.stdout.splitlines()[-1])
    np.testing.assert_allclose(found, run(whole, encoder.tokenize(TEXTS)), atol=1e-5)


@pytest.mark.parametrize("layer", ["embeddings_norm", "transformer_layer_2_attention", "transformer_layer_2_output"])
def test_within_a_layer_the_encoder_is_not_cut(encoder: minilm.Encoder, layer: str) -> None:
    with pytest.raises(UserError, match="another path leads round"):
        cut.cut(encoder.model, layer)


def test_a_second_loading_finds_what_the_first_has_stored(
    encoder: minilm.Encoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = encoder.tokenize(TEXTS)
    again = minilm.load()
    monkeypatch.setenv("TLUTILS_CACHE", str(tmp_path))
    for loaded in (encoder, again):
        trunk, _ = cut.cut(loaded.model, "transformer_layer_0")
        minilm.compute_once(trunk, tokens)
    assert len(list((tmp_path / "activations").iterdir())) == 1


def test_a_truncated_text_is_warned_of_and_read_to_the_limit(encoder: minilm.Encoder) -> None:
    with pytest.warns(minilm.TruncatedText, match="1 of 2 texts .* max_length=8 .* has 42"):
        tokens = encoder.tokenize(["good " * 40, "Loud."], max_length=8)
    assert tokens.shape == (2, 8) and tokens[0, -1] == encoder.tokenizer.token_to_id("[SEP]")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert encoder.tokenize(["good " * 40]).shape == (1, 42)


def test_english_is_known_and_chinese_is_not(encoder: minilm.Encoder) -> None:
    assert encoder.unknown_share(TEXTS).tolist() == [0] * len(TEXTS)
    dirty_room = "\u623f\u95f4\u53c8\u810f\u53c8\u5435\u3002"
    assert encoder.unknown_share([dirty_room])[0] == pytest.approx(6 / 7)


def test_paraphrases_are_nearer_than_strangers(encoder: minilm.Encoder) -> None:
    triples = [
        ("The staff were helpful.", "The employees assisted us well.", "The kettle boils fast."),
        ("How old are you?", "What is your age?", "Where is the station?"),
        ("A man plays a guitar.", "Someone is playing an instrument.", "The soup was cold."),
    ]
    vectors = minilm.embed(encoder, [text for triple in triples for text in triple])
    for one, same, other in vectors.reshape(3, 3, -1):
        assert one @ same > one @ other + 0.2


@pytest.mark.parametrize(
    ("texts", "message"),
    [("a text", "must be a list"), ([], "must be a list"), (["fine", None], r"texts\[1\] is None")],
)
def test_what_is_no_list_of_texts_is_refused(encoder: minilm.Encoder, texts: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        minilm.embed(encoder, texts)


@pytest.mark.parametrize("length", [2, 513, 8.0, True])
def test_a_length_that_the_encoder_does_not_know_is_refused(encoder: minilm.Encoder, length: Any) -> None:
    with pytest.raises(UserError, match="from 3 to 512"):
        encoder.tokenize(TEXTS, max_length=length)
