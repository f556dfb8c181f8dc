"""MiniLM, a language model that turns sentences into vectors, cut and computed once as the picture networks are."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tlutils import cut, settings, store
from tlutils.models import wordpiece

if TYPE_CHECKING:
    import keras

# The length to which the publisher of all-MiniLM-L6-v2 cuts its texts (its tokenizer.json).
MAX_LENGTH = 128

PAD = 0

# Tokens computed together. Smaller batches leave the matrix products short, larger ones leave the processor's cache.
_TOKENS_PER_BATCH = 1024


class TruncatedText(UserWarning):
    """Texts were longer than the encoder was allowed to read; their ends were left out."""


@dataclass(frozen=True)
class Encoder:
    """A network that takes tokens and can be cut.

    Attributes
    ----------
    name : str
    model : keras.Model
        Input: token numbers, int32, shape (n, length), padded with 0. Output: one vector of length 1 for each text,
        shape (n, 384). `cut.cut` parts it; at every cut the activations have shape (n, length, 384) and are exactly 0
        where the text is padded, which is how the tail knows the padding.
    tokenizer : wordpiece.WordPiece
    cuts : tuple of str
        Layers where the network may be cut, in order from the text to the output.
    licence : str
        Of the pretrained weights.
    """

    name: str
    model: keras.Model
    tokenizer: wordpiece.WordPiece
    cuts: tuple[str, ...]
    licence: str

    def __repr__(self) -> str:
        return f"Encoder({self.name}, {len(self.cuts) - 1} layers, {self.model.count_params():,} parameters)"

    def tokenize(self, texts: Sequence[str], *, max_length: int = MAX_LENGTH) -> NDArray[np.int32]:
        """Turn texts into token numbers: [CLS], the word pieces, [SEP], and [PAD] up to the longest text.

        Parameters
        ----------
        texts : sequence of str
        max_length : int
            Tokens that are kept of a text, [CLS] and [SEP] among them; 3 to 512. A sentence of 20 words has about 25.

        Returns
        -------
        int32 array, shape (n, length of the longest text)
            0 stands for padding and for nothing else.

        Raises
        ------
        settings.UserError
            No texts, something that is no text, a length out of range.

        Warns
        -----
        TruncatedText
            Says how many texts were cut off and how long the longest is.
        """
        longest = self.model.get_layer("position_embedding").input_dim
        if isinstance(max_length, bool) or not isinstance(max_length, int) or not 3 <= max_length <= longest:
            raise settings.UserError(
                f"max_length={max_length!r} must be a whole number of tokens from 3 to {longest}, which is as far as "
                f"{self.name} knows positions."
            )
        pieces = self._pieces(texts)
        lengths = np.array([len(piece) + 2 for piece in pieces])
        too_long = int((lengths > max_length).sum())
        if too_long:
            warnings.warn(
                f"{too_long:,} of {len(pieces):,} texts are longer than max_length={max_length} tokens, the longest "
                f"has {lengths.max():,}; their ends are not read. Give a larger max_length (up to {longest}), or split "
                "them into sentences.",
                TruncatedText,
                stacklevel=2,
            )
        return np.array(self.tokenizer.batch(pieces, max_length), dtype=np.int32)

    def unknown_share(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Return the share of each text's tokens that the vocabulary lacks, which the encoder reads all as [UNK].

        Parameters
        ----------
        texts : sequence of str

        Returns
        -------
        float array, shape (n,)
            0 to 1; 0 for a text without tokens. [CLS] and [SEP] do not count.

        Raises
        ------
        settings.UserError
            No texts, or something that is no text.
        """
        unknown = self.tokenizer.token_to_id("[UNK]")
        return np.array([piece.count(unknown) / max(1, len(piece)) for piece in self._pieces(texts)])

    def _pieces(self, texts: Sequence[str]) -> list[list[int]]:
        """Token numbers of every text in full length, without [CLS] and [SEP]."""
        if isinstance(texts, str) or len(texts) == 0:
            raise settings.UserError(f"texts={texts!r} must be a list of at least one text, such as ['It works.'].")
        for position, text in enumerate(texts):
            if not isinstance(text, str):
                raise settings.UserError(
                    f"texts[{position}] is {text!r}, not a text. Leave such rows out, as tables.from_csv does."
                )
        return [self.tokenizer(text) for text in texts]


def load() -> Encoder:
    """Load all-MiniLM-L6-v2: six layers, 384 numbers for each token, an English vocabulary of 30,522 word pieces.

    Wang et al. 2020, "MiniLM: Deep Self-Attention Distillation for Task-Agnostic Compression of Pre-Trained
    Transformers", trained further on 1.17 billion pairs of texts that belong together (Reimers & Gurevych 2019,
    "Sentence-BERT"). The 91 MB are brought at the first call.

    Returns
    -------
    Encoder

    Raises
    ------
    settings.UserError
        If the weights cannot be brought.
    """
    folder = store.fetch("minilm")
    settings.start_keras()
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    with settings.quiet_import():
        model = _build(config)
    _fill(model, _read_safetensors(folder / "model.safetensors"))
    tokenizer = wordpiece.WordPiece((folder / "vocab.txt").read_text(encoding="utf-8").split())
    return Encoder("minilm", model, tokenizer, _cuts(config["num_hidden_layers"]), store.FILES["minilm"].licence)


def embed(encoder: Encoder, texts: Sequence[str]) -> NDArray[np.float32]:
    """Return one vector for each text: the mean of its last activations over the tokens, scaled to length 1.

    Reimers & Gurevych 2019, "Sentence-BERT", section 3 (mean pooling). The product of two vectors is the cosine of
    their angle: near 1 for texts that mean the same, near 0 for unrelated ones.

    Parameters
    ----------
    encoder : Encoder
    texts : sequence of str
        Read as `Encoder.tokenize` does, up to `MAX_LENGTH` tokens each.

    Returns
    -------
    float32 array, shape (n, 384)
        About 300 sentences of 15 words a second on two cores. Nothing is kept on disk; `compute_once` does that, with
        ``encoder.model`` as its model.

    Raises
    ------
    settings.UserError
        As `Encoder.tokenize`.

    Warns
    -----
    TruncatedText
    """
    return _run(encoder.model, encoder.tokenize(texts))


def compute_once(model: keras.Model, token_ids: NDArray[np.int32], *, dtype: str = "float32") -> NDArray[np.floating]:
    """Return a trunk's activations, computed at the first call and read from disk at every later one.

    What `cut.compute_once` does for pictures, in the same cache. Texts differ in length; they are stored padded with
    zeros to the longest of the set, so that a subset, a batch and a split are plain indexing, at the price of
    ``n * length * 384`` numbers: 98 MB for 1,000 texts of 64 tokens.

    Parameters
    ----------
    model : keras.Model
        A trunk of an encoder's model, or that model itself. Run in inference mode.
    token_ids : int32 array, shape (n, length)
        From `Encoder.tokenize`.
    dtype : str
        ``"float32"`` or ``"float16"``.

    Returns
    -------
    array, shape (n, length, 384), or (n, 384) for the whole model
        A read-only memory map.

    Raises
    ------
    settings.UserError
        Wrong number format, no texts, cache folder not writable, disk full.
    """
    if token_ids.ndim != 2 or len(token_ids) == 0 or not np.issubdtype(token_ids.dtype, np.integer):
        raise settings.UserError(
            f"token_ids has shape {token_ids.shape} and type {token_ids.dtype}; give what encoder.tokenize(texts) "
            "returns for one text or more."
        )
    return cut.compute_once(model, token_ids, dtype=dtype, run=lambda model, ids: [_run(model, ids)])


def _run(model: keras.Model, token_ids: NDArray[np.int32]) -> NDArray[np.float32]:
    """Run a model on texts of like length together, and put the results back into the order of the texts."""
    from tqdm import tqdm

    results = np.zeros(model.compute_output_shape(token_ids.shape), dtype=np.float32)
    with tqdm(total=len(token_ids), unit="text", desc="encoder", delay=5, leave=False) as bar:
        for rows, batch in _batches(token_ids):
            values = model.predict_on_batch(batch)
            if results.ndim == 3:
                results[rows, : values.shape[1]] = values
            else:
                results[rows] = values
            bar.update(len(rows))
    return results


def _batches(token_ids: NDArray[np.int32]) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int32]]]:
    """Yield rows of about the same length, and their tokens without the padding that none of them needs."""
    lengths = (token_ids != PAD).sum(axis=1)
    order = np.argsort(-lengths, kind="stable")
    start = 0
    while start < len(order):
        longest = int(lengths[order[start]])
        rows = order[start : start + max(1, _TOKENS_PER_BATCH // longest)]
        yield rows, token_ids[rows, :longest]
        start += len(rows)


def _cuts(layers: int) -> tuple[str, ...]:
    return ("embeddings", *(f"transformer_layer_{number}" for number in range(layers)))


def _build(config: dict[str, int]) -> keras.Model:
    """Build BERT (Devlin et al. 2019, section 3) without its segments, with the mean over the tokens on top.

    Layer normalisation follows each residual sum, as in the first Transformer (Vaswani et al. 2017, section 3.1), and
    the activation is the exact GELU that MiniLM was trained with. All layers are Keras's own, so that a saved model
    loads where only Keras is installed.
    """
    import keras

    positions, width, heads = (config[key] for key in ("max_position_embeddings", "hidden_size", "num_attention_heads"))
    ids = keras.Input((None,), dtype="int32", name="token_ids")
    places = keras.ops.cumsum(keras.ops.ones_like(ids), axis=1) - 1
    x = keras.layers.Add(name="embeddings_sum")(
        [
            keras.layers.Embedding(config["vocab_size"], width, name="token_embedding")(ids),
            keras.layers.Embedding(positions, width, "glorot_uniform", name="position_embedding")(places),
        ]
    )
    x = keras.layers.LayerNormalization(epsilon=1e-12, name="embeddings_norm")(x)
    x = keras.layers.Dropout(0.1, name="embeddings_dropout")(x)
    at, *rest = _cuts(config["num_hidden_layers"])
    x = _zero_padding(x, keras.ops.not_equal(ids, PAD), at)
    for at in rest:
        # From the activations rather than from the input, so that nothing leads round a cut.
        mask = _present(x)
        mixed = keras.layers.MultiHeadAttention(heads, width // heads, dropout=0.1, name=f"{at}_attention")(
            x, x, attention_mask=keras.ops.expand_dims(mask, 1)
        )
        x = _add_and_norm(x, mixed, f"{at}_attention")
        inner = keras.layers.Dense(config["intermediate_size"], "gelu", name=f"{at}_intermediate")(x)
        x = _add_and_norm(x, keras.layers.Dense(width, name=f"{at}_output")(inner), f"{at}_output")
        x = _zero_padding(x, mask, at)
    x = keras.layers.GlobalAveragePooling1D(name="mean_over_tokens")(x, mask=_present(x))
    return keras.Model(ids, keras.layers.UnitNormalization(name="unit_length")(x), name="minilm")


def _add_and_norm(x: keras.KerasTensor, change: keras.KerasTensor, name: str) -> keras.KerasTensor:
    import keras

    change = keras.layers.Dropout(0.1, name=f"{name}_dropout")(change)
    x = keras.layers.Add(name=f"{name}_sum")([x, change])
    return keras.layers.LayerNormalization(epsilon=1e-12, name=f"{name}_norm")(x)


def _present(x: keras.KerasTensor) -> keras.KerasTensor:
    """Tell tokens from padding, shape (n, length); a normalised activation is never 0 in all its numbers."""
    import keras

    return keras.ops.any(keras.ops.not_equal(x, 0), axis=-1)


def _zero_padding(x: keras.KerasTensor, mask: keras.KerasTensor, name: str) -> keras.KerasTensor:
    import keras

    return keras.layers.Multiply(name=name)([x, keras.ops.expand_dims(keras.ops.cast(mask, x.dtype), -1)])


# Layers within a block, here and in the publisher's file.
_BLOCK = {
    "attention/query": "attention.self.query",
    "attention/key": "attention.self.key",
    "attention/value": "attention.self.value",
    "attention/attention_output": "attention.output.dense",
    "attention_norm": "attention.output.LayerNorm",
    "intermediate": "intermediate.dense",
    "output": "output.dense",
    "output_norm": "output.LayerNorm",
}
_VARIABLE = {"kernel": "weight", "gamma": "weight", "bias": "bias", "beta": "bias"}


def _fill(model: keras.Model, tensors: dict[str, NDArray[np.float32]]) -> None:
    """Fill from the publisher's tensors; there, kernels are (out, in) and the heads lie side by side."""
    # Every text is one segment, so the first segment's embedding is a constant that the token's may carry.
    segment = tensors["embeddings.token_type_embeddings.weight"][0]
    model.get_layer("token_embedding").set_weights([tensors["embeddings.word_embeddings.weight"] + segment])
    model.get_layer("position_embedding").set_weights([tensors["embeddings.position_embeddings.weight"]])
    model.get_layer("embeddings_norm").set_weights(
        [tensors["embeddings.LayerNorm.weight"], tensors["embeddings.LayerNorm.bias"]]
    )
    for variable in model.weights:
        if variable.path.startswith("transformer_layer_"):
            number, rest = variable.path.removeprefix("transformer_layer_").split("_", 1)
            within, kind = rest.rsplit("/", 1)
            tensor = tensors[f"encoder.layer.{number}.{_BLOCK[within]}.{_VARIABLE[kind]}"]
            variable.assign((tensor.T if kind == "kernel" else tensor).reshape(variable.shape))


def _read_safetensors(path: Path) -> dict[str, NDArray[np.float32]]:
    """Read float32 tensors; Hugging Face's format is the length of a JSON header, that header, and raw numbers."""
    data = np.memmap(path, mode="r")
    size = int.from_bytes(data[:8].tobytes(), "little")
    header = json.loads(data[8 : 8 + size].tobytes())
    content = data[8 + size :]
    return {
        name: content[slice(*entry["data_offsets"])].view("<f4").reshape(entry["shape"])
        for name, entry in header.items()
        if entry.get("dtype") == "F32"
    }
