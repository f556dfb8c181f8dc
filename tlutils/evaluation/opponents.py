"""Describe pictures without a network, and give every description the same tuned linear head."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tlutils import settings
from tlutils.evaluation import metrics

if TYPE_CHECKING:
    import scipy.sparse
    from sklearn.pipeline import Pipeline

    # Of words, most entries are 0.
    Table: TypeAlias = NDArray[np.floating] | scipy.sparse.csr_matrix

# Inverse strengths of the penalty of a linear head: from one that hardly moves to one that is hardly held.
STRENGTHS = (0.001, 0.01, 0.1, 1.0, 10.0)
# Lightness, green to red, blue to yellow (CIE 1976 L*a*b*): bins, and the range in which nearly all of sRGB lies.
_COLOUR_BINS, _COLOUR_RANGES = (4, 6, 6), ((0, 100), (-60, 80), (-80, 90))
# Ojala, Pietikäinen & Mäenpää 2002, "Multiresolution gray-scale and rotation invariant texture classification with
# local binary patterns": eight neighbours at three distances, in the ten uniform patterns.
_NEIGHBOURS, _RADII = 8, (1, 2, 4)


def thumbnails(pictures: Sequence[NDArray[np.uint8]], side: int = 12) -> NDArray[np.float32]:
    """Shrink pictures until only the rough layout of their colours is left.

    Parameters
    ----------
    pictures : sequence of uint8 array, shape (height, width, 3)
        Such as an array of pictures, or the files of a folder, which are read one by one.
    side : int
        Of a thumbnail, in pixels; 1 to the side of the pictures.

    Returns
    -------
    float32 array, shape (n, 3 * side**2)
        Mean red, green and blue of each square, 0 to 1.

    Raises
    ------
    settings.UserError
        Something other than RGB pictures; an impossible side.
    """
    from PIL import Image

    settings.require_whole(1, side=side)
    rows = []
    for picture in _checked(pictures):
        if side > min(picture.shape[:2]):
            height, width = picture.shape[:2]
            raise settings.UserError(f"side={side} is larger than a picture of {width} x {height} pixels.")
        small = Image.fromarray(picture).resize((side, side), Image.Resampling.BOX)
        rows.append(np.asarray(small, dtype=np.float32).ravel() / 255)
    return np.array(rows)


def descriptions(pictures: Sequence[NDArray[np.uint8]]) -> dict[str, NDArray[np.float32]]:
    """Describe pictures without a network in four ways, of which the strongest is to be beaten.

    Parameters
    ----------
    pictures : sequence of uint8 array, shape (height, width, 3)
        Such as an array of pictures, or the files of a folder, which are read one by one.

    Returns
    -------
    dict of str to float32 array, first axis n
        ``thumbnails``, as `thumbnails` gives them. ``colour``: which colours a picture has, in 144 cells of L*a*b*.
        ``texture``: which patterns the lightness of neighbouring pixels forms, in ten local binary patterns (Ojala et
        al. 2002) at each of three distances. ``colour and texture``: both. The last three are square roots of shares,
        because shares near 0 differ more than shares near 1 (Arandjelovic & Zisserman 2012, "Three things everyone
        should know to improve object retrieval"); where things lie does not matter to them.

    Raises
    ------
    settings.UserError
        Something other than RGB pictures.
    """
    from skimage.color import rgb2lab
    from skimage.feature import local_binary_pattern

    low, high = np.transpose(_COLOUR_RANGES)

    def texture_of(lightness: NDArray[np.uint8]) -> NDArray[np.floating]:
        counts = []
        for radius in _RADII:
            patterns = local_binary_pattern(lightness, _NEIGHBOURS, radius, method="uniform").astype(np.int64)
            counts.append(np.bincount(patterns.ravel(), minlength=_NEIGHBOURS + 2))
        return np.concatenate(counts) / lightness.size

    colours: list[NDArray[np.floating]] = []
    waiting: list[Future[NDArray[np.floating]]] = []
    # Most of the time goes into the patterns, which two cores count while the colours of the next picture are counted.
    with ThreadPoolExecutor(2) as pool:
        for picture in _checked(pictures):
            lab = rgb2lab(picture)
            # Whole numbers, since the comparison of neighbours would take the noise of rounding for a pattern.
            if len(waiting) > 1:
                waiting[-2].result()  # so that no more than two pictures wait in memory
            waiting.append(pool.submit(texture_of, np.round(2.55 * lab[..., 0]).astype(np.uint8)))
            pixels = lab.reshape(-1, 3).clip(low, high)
            colours.append(np.histogramdd(pixels, bins=_COLOUR_BINS, range=_COLOUR_RANGES)[0].ravel() / len(pixels))
    textures = [texture.result() for texture in waiting]
    colour, texture = np.sqrt(np.array(colours, np.float32)), np.sqrt(np.array(textures, np.float32))
    return {
        "thumbnails": thumbnails(pictures),
        "colour": colour,
        "texture": texture,
        "colour and texture": np.hstack([colour, texture]),
    }


def word_counts(texts: Sequence[str], train: ArrayLike) -> dict[str, scipy.sparse.csr_matrix]:
    """Describe texts without a network in two ways, of which the stronger is to be beaten.

    Parameters
    ----------
    texts : sequence of str
    train : int array
        Which texts may be learned from: their words are counted, and those of the others only where these have them.

    Returns
    -------
    dict of str to sparse array, first axis n
        ``words`` and ``letters`` (two to four neighbouring ones within a word, which also catch endings and misspelt
        words): how often each occurs in a text, the less weight the more texts have it (TF-IDF; Sparck Jones 1972, "A
        statistical interpretation of term specificity and its application in retrieval"), each row of length 1.

    Raises
    ------
    settings.UserError
        Texts to learn from without a word.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    ways = {"words": TfidfVectorizer(), "letters": TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4))}
    learned = [texts[row] for row in np.asarray(train)]
    try:
        return {name: way.fit(learned).transform(texts) for name, way in ways.items()}
    except ValueError as error:
        raise settings.UserError(
            f"There is no word in the {len(learned)} texts to learn from ({error}); choose the column with the texts."
        ) from error


def halves(
    labels: NDArray[np.int64], train: NDArray[np.int64], seed: int
) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Cut training examples into halves three times, and let each half learn once, which makes six draws.

    So ways can be compared before the test examples are opened: learn from one half, choose by the other, and ask about
    the validation examples. Two draws share 40 % on average, so that they tell more about other draws than as many that
    share most of their examples (compare Dietterich 1998, "Approximate statistical tests for comparing supervised
    classification learning algorithms").

    Parameters
    ----------
    labels : int array, shape (n,)
        Of all examples.
    train : int array
        Which of them are for training.
    seed : int
        0 or more.

    Returns
    -------
    list of six pairs of int array
        The half that learns and the other, half of each class in both; the two pairs of one cut follow each other. A
        class of one example always learns, so that every draw knows every class.

    Raises
    ------
    settings.UserError
        No class of two examples, so that nothing can be cut.
    """
    counts = np.bincount(labels[train])
    if counts.max() < 2:
        raise settings.UserError(
            "No class has more than 1 training example, so nothing can be cut into halves. Give two or more of each "
            "class: more examples, a larger labels_per_class, or smaller validation and test sides."
        )
    rng = np.random.default_rng(seed)
    draws = []
    for _ in range(3):
        order = rng.permutation(train)
        by_class = order[np.argsort(labels[order], kind="stable")]
        members = labels[by_class]
        place = np.arange(len(members)) - np.searchsorted(members, members)
        half = np.where(counts[members] < 2, -1, place % 2)
        draws += [(by_class[half != other], by_class[half == other]) for other in (0, 1)]
    return draws


def tuned_head(
    features: Table,
    labels: ArrayLike,
    validation: tuple[Table, ArrayLike],
    strengths: Sequence[float] = STRENGTHS,
    *,
    choose_by: str = "accuracy",
) -> Pipeline:
    """Fit a linear head whose penalty is chosen on validation examples.

    Each column of an array is standardised, those of a sparse table stay as they are, since standardising would give
    every rare word the weight of a frequent one. Then comes logistic regression with a squared penalty. Between
    strengths that do equally well, the stronger penalty wins.

    Parameters
    ----------
    features : float array or sparse array, shape (n, k)
        Of the labelled examples, from a network or from none.
    labels : int array, shape (n,)
    validation : pair of arrays
        Features and labels to choose by.
    strengths : sequence of float
        Candidates for scikit-learn's ``C``, the inverse of the penalty, above 0.
    choose_by : str
        ``"accuracy"``, or ``"log loss"``, which also tells how sure the head is, and so decides where all strengths
        are right equally often.

    Returns
    -------
    sklearn.pipeline.Pipeline
        Fitted; its last step has the chosen ``C``.

    Raises
    ------
    settings.UserError
        Features that are no finite table, something unknown to choose by.
    """
    return _tuned(features, labels, validation, strengths, choose_by)[0]


def _tuned(
    features: Table, labels: ArrayLike, validation: tuple[Table, ArrayLike], strengths: Sequence[float], choose_by: str
) -> tuple[Pipeline, float]:
    """Return the head of the best strength, and how well it does on the validation examples: more is better."""
    import scipy.sparse
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from threadpoolctl import threadpool_limits

    sparse = scipy.sparse.issparse(features)
    for name, table in (("features", features), ("validation features", validation[0])):
        if table.ndim != 2 or not np.isfinite(table.data if sparse else table).all():
            raise settings.UserError(f"The {name} of shape {np.shape(table)} are no table (n, k) of finite numbers.")
    scores = {"accuracy": _accuracy, "log loss": _log_likelihood}
    if choose_by not in scores:
        raise settings.UserError(f"choose_by={choose_by!r} is unknown; choose one of {', '.join(map(repr, scores))}.")
    best, best_score = None, -np.inf
    # For tables as small as these, a second thread costs up to thirty times what it saves.
    with threadpool_limits(1):
        for strength in sorted(strengths):
            classifier = LogisticRegression(C=strength, max_iter=1000)
            head = make_pipeline(*([] if sparse else [StandardScaler()]), classifier)
            head.fit(features, labels)
            score = scores[choose_by](head, *validation)
            if score > best_score:
                best, best_score = head, score
    return best, best_score


def _accuracy(head: Pipeline, table: Table, labels: ArrayLike) -> float:
    return metrics.accuracy(labels, head.predict(table)).value


def _log_likelihood(head: Pipeline, table: Table, labels: ArrayLike) -> float:
    """Mean of log p(true class). A class that the head was not trained on counts the same for every strength: 0."""
    rows, columns = np.nonzero(np.asarray(labels)[:, None] == head.classes_)
    chances = head.predict_proba(table)[rows, columns]
    return float(np.log(np.maximum(chances, np.finfo(np.float64).tiny)).sum() / len(np.asarray(labels)))


def strongest_head(
    tables: Mapping[str, Table],
    labels: NDArray[np.int64],
    train: NDArray[np.int64],
    validation: NDArray[np.int64],
    *,
    choose_by: str = "accuracy",
) -> tuple[str, Pipeline]:
    """Fit a tuned head to each table and take the one that does best on the validation examples.

    Parameters
    ----------
    tables : mapping of str to float array or sparse array, shape (n, k)
        Descriptions of the same examples, such as `descriptions` gives; of equals, the first wins.
    labels : int array, shape (n,)
    train, validation : int array
        Which examples to fit to, and which to choose by.
    choose_by : str
        As for `tuned_head`, whose penalty is chosen by the same.

    Returns
    -------
    name : str
        Of the table.
    head : Pipeline
        As `tuned_head` returns it.
    """
    heads, scores = {}, {}
    for name, table in tables.items():
        inside = table[validation], labels[validation]
        heads[name], scores[name] = _tuned(table[train], labels[train], inside, STRENGTHS, choose_by)
    best = max(scores, key=lambda name: scores[name])
    return best, heads[best]


def right_answers(
    tables: Mapping[str, Table],
    labels: NDArray[np.int64],
    train: NDArray[np.int64],
    validation: NDArray[np.int64],
    test: NDArray[np.int64],
    *,
    choose_by: str = "accuracy",
) -> NDArray[np.bool_]:
    """Ask the strongest head of some tables about the test examples.

    Parameters
    ----------
    tables, labels, train, validation, choose_by
        As `strongest_head` takes them.
    test : int array, shape (n,)
        Which examples are asked, after everything is chosen.

    Returns
    -------
    bool array, shape (n,)
        Where the answer is the label.
    """
    name, head = strongest_head(tables, labels, train, validation, choose_by=choose_by)
    return np.asarray(head.predict(tables[name][test]) == labels[test])


def dense_weights(head: Pipeline) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the weights of a Keras Dense layer that gives a head's logits on features that are not standardised.

    Parameters
    ----------
    head : Pipeline
        As `tuned_head` returns it.

    Returns
    -------
    kernel : float64 array, shape (k, n_classes)
    bias : float64 array, shape (n_classes,)
    """
    scaler, classifier = head[0], head[-1]
    kernel = (classifier.coef_ / scaler.scale_).T
    bias = classifier.intercept_ - scaler.mean_ @ kernel
    if len(bias) == 1:  # of two classes scikit-learn keeps the logit of the second only
        kernel, bias = np.hstack([np.zeros_like(kernel), kernel]), np.append(0, bias)
    return kernel, bias


def _checked(pictures: Sequence[NDArray[np.uint8]]) -> Iterator[NDArray[np.uint8]]:
    if len(pictures) == 0:
        raise settings.UserError("There are no pictures to describe; give one or more.")
    for number, picture in enumerate(pictures):
        if picture.ndim != 3 or picture.shape[-1] != 3 or picture.dtype != np.uint8:
            raise settings.UserError(
                f"Picture {number} has shape {picture.shape} and type {picture.dtype}; give RGB pictures as uint8, "
                "(height, width, 3)."
            )
        yield picture
