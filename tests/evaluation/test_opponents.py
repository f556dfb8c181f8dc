"""Pictures are described without a network, and every description gets the same tuned head."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tlutils import datasets
from tlutils.evaluation import opponents
from tlutils.settings import UserError


def noise(seed: int, size: tuple[int, int] = (24, 36)) -> np.ndarray:
    """Pictures of independent pixels."""
    return np.random.default_rng(seed).integers(0, 256, (3, *size, 3), dtype=np.uint8)


def test_a_thumbnail_holds_the_mean_colour_of_each_square():
    pictures = noise(0)
    squares = pictures.reshape(3, 4, 6, 4, 9, 3).mean(axis=(2, 4))
    np.testing.assert_allclose(opponents.thumbnails(pictures, 4), squares.reshape(3, -1) / 255, atol=1 / 255)


@given(st.integers(0, 1000))
def test_colours_and_near_patterns_do_not_depend_on_where_things_lie(seed: int):
    pictures = noise(seed, (16, 16))
    described = opponents.descriptions(pictures)["colour and texture"]
    assert described.shape == (3, 174)
    shares = np.square(described)
    np.testing.assert_allclose(shares[:, :144].sum(axis=1), 1, rtol=1e-5)
    for start in (144, 154, 164):
        np.testing.assert_allclose(shares[:, start : start + 10].sum(axis=1), 1, rtol=1e-5)
    mirrored = opponents.descriptions(pictures[:, :, ::-1])["colour and texture"]
    np.testing.assert_allclose(described[:, :144], mirrored[:, :144], atol=1e-6)
    np.testing.assert_allclose(described[:, 144:154], mirrored[:, 144:154], atol=1e-6)


def test_stripes_and_a_plain_grey_of_the_same_colours_differ_in_texture_only():
    stripes = np.zeros((1, 16, 16, 3), np.uint8)
    stripes[:, :, ::2] = 255
    halves = np.zeros((1, 16, 16, 3), np.uint8)
    halves[:, :, 8:] = 255
    first, second = opponents.descriptions(stripes), opponents.descriptions(halves)
    np.testing.assert_array_equal(first["colour"], second["colour"])
    assert np.abs(first["texture"] - second["texture"]).max() > 0.3
    np.testing.assert_array_equal(first["thumbnails"], opponents.thumbnails(stripes))


def test_the_files_of_a_folder_are_described_one_by_one(real_data):
    flowers = datasets.from_folder(real_data / "flowers").subset(slice(0, 4))
    files = flowers.resized(48)
    np.testing.assert_array_equal(opponents.thumbnails(files), opponents.thumbnails(files[:]))


def test_of_texts_only_the_words_of_those_to_learn_from_are_counted_and_rare_words_weigh_more():
    texts = ["the lamp works", "the lamp broke", "the chair works", "unseen words"]
    words = opponents.word_counts(texts, [0, 1, 2])["words"].toarray()
    assert words.shape == (4, 5) and not words[3].any()
    np.testing.assert_allclose(np.linalg.norm(words[:3], axis=1), 1)
    # In alphabetical order: broke, chair, lamp, the, works.
    assert words[1][0] > words[1][2] > words[1][3] > 0
    with pytest.raises(UserError, match="no word in the 1 texts"):
        opponents.word_counts(["?"], [0])


@given(st.lists(st.integers(0, 3), min_size=3, max_size=40), st.integers(0, 100))
def test_every_half_learns_once_with_half_of_each_class_and_every_class(given_labels: list[int], seed: int):
    labels = np.array(given_labels)
    train = np.random.default_rng(seed).permutation(len(labels))[: max(3, len(labels) // 2)]
    counts = np.bincount(labels[train])
    if counts.max() < 2:
        with pytest.raises(UserError, match="nothing can be cut into halves"):
            opponents.halves(labels, train, seed)
        return
    draws = opponents.halves(labels, train, seed)
    assert len(draws) == 6
    for learns, other in draws:
        assert sorted([*learns, *other]) == sorted(train)
        assert set(labels[learns]) == set(labels[train])
        for label in np.flatnonzero(counts >= 2):
            assert counts[label] // 2 <= (labels[other] == label).sum() <= -(-counts[label] // 2)
    for first, second in zip(draws[::2], draws[1::2], strict=True):
        assert all(counts[labels[row]] == 1 for row in np.intersect1d(first[0], second[0]))


def test_six_halves_share_two_fifths_on_average():
    labels = np.arange(400) % 4
    drawn = [datasets.Split(*draw, np.arange(0)) for draw in opponents.halves(labels, np.arange(400), 0)]
    assert datasets.shared(drawn) == pytest.approx(0.4, abs=0.03)


def test_the_head_takes_the_penalty_that_is_right_most_often_and_the_stronger_of_equals():
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 2
    useful = (2.0 * labels - 1 + 0.1 * rng.normal(size=60))[:, None]
    assert opponents.tuned_head(useful, labels, (useful, labels)).steps[-1][1].C == min(opponents.STRENGTHS)
    noisy = np.hstack([useful + rng.normal(size=(60, 1)), rng.normal(size=(60, 40))])
    validation, test = slice(20, 40), slice(40, 60)
    chosen = opponents.tuned_head(noisy[:20], labels[:20], (noisy[validation], labels[validation]))
    alone = [
        opponents.tuned_head(noisy[:20], labels[:20], (noisy[validation], labels[validation]), [strength])
        for strength in opponents.STRENGTHS
    ]
    scores = [head.score(noisy[validation], labels[validation]) for head in alone]
    best = opponents.STRENGTHS[int(np.argmax(scores))]
    assert chosen.steps[-1][1].C == best
    np.testing.assert_array_equal(chosen.predict(noisy[test]), alone[int(np.argmax(scores))].predict(noisy[test]))


def test_chosen_by_log_loss_the_penalty_is_the_one_that_gives_the_validation_labels_the_most_probability():
    rng = np.random.default_rng(1)
    labels = np.arange(90) % 3
    features = 2.0 * np.eye(3)[labels] + rng.normal(size=(90, 3))
    train, inside = slice(0, 30), (features[30:], labels[30:])
    chosen = opponents.tuned_head(features[train], labels[train], inside, choose_by="log loss")
    alone = [opponents.tuned_head(features[train], labels[train], inside, [c]) for c in opponents.STRENGTHS]
    losses = [-np.log(head.predict_proba(inside[0])[np.arange(60), inside[1]]).mean() for head in alone]
    assert chosen[-1].C == opponents.STRENGTHS[int(np.argmin(losses))]
    # Right as often as any, the strongest penalty alone would leave the head unsure of everything.
    easy = 9.0 * np.eye(3)[labels]
    assert opponents.tuned_head(easy, labels, (easy, labels)).predict_proba(easy).max() < 0.6
    assert opponents.tuned_head(easy, labels, (easy, labels), choose_by="log loss").predict_proba(easy).min() < 0.01


def test_the_log_loss_chooses_also_where_a_class_has_no_training_example():
    labels = np.arange(30) % 3
    features = 3.0 * np.eye(3)[labels]
    two = np.flatnonzero(labels < 2)
    head = opponents.tuned_head(features[two], labels[two], (features, labels), choose_by="log loss")
    assert head.classes_.tolist() == [0, 1] and head[-1].C == max(opponents.STRENGTHS)


def test_the_columns_of_a_sparse_table_are_not_standardised():
    from scipy.sparse import csr_matrix
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(0)
    labels = np.arange(40) % 2
    table = rng.random((40, 6)) * [1, 1, 1, 1, 1, 0.01]
    head = opponents.tuned_head(csr_matrix(table), labels, (csr_matrix(table), labels), [1.0])
    plain = LogisticRegression(C=1.0, max_iter=1000).fit(table, labels)
    np.testing.assert_allclose(head.predict_proba(csr_matrix(table)), plain.predict_proba(table), atol=1e-3)
    tables = {"words": csr_matrix(table), "noise": csr_matrix(rng.random((40, 6)))}
    train, test = np.arange(30), np.arange(30, 40)
    assert opponents.right_answers(tables, labels, train, test, test, choose_by="log loss").shape == (10,)


def test_the_strongest_description_is_chosen_by_validation_and_not_drowned_by_the_others():
    rng = np.random.default_rng(0)
    labels = np.arange(90) % 3
    useful = np.eye(3)[labels] + 0.3 * rng.normal(size=(90, 3))
    noise_columns = rng.normal(size=(90, 100))
    tables = {"noise": noise_columns, "both": np.hstack([noise_columns, useful]), "useful": useful}
    train, validation, test = np.arange(15), np.arange(15, 45), np.arange(45, 90)
    name, head = opponents.strongest_head(tables, labels, train, validation)
    assert name == "useful"
    assert head.score(useful[test], labels[test]) > 0.9
    right = opponents.right_answers(tables, labels, train, validation, test)
    np.testing.assert_array_equal(right, head.predict(useful[test]) == labels[test])


@pytest.mark.parametrize("n_classes", [2, 3])
def test_a_dense_layer_with_the_weights_of_a_head_gives_its_probabilities(n_classes: int):
    import keras

    rng = np.random.default_rng(0)
    features, labels = rng.normal(3, [1, 10, 0.1], (60, 3)), np.arange(60) % n_classes
    head = opponents.tuned_head(features, labels, (features, labels))
    dense = keras.layers.Dense(n_classes, activation="softmax")
    dense.build((None, 3))
    dense.set_weights(opponents.dense_weights(head))
    found = keras.ops.convert_to_numpy(dense(features.astype("float32")))
    np.testing.assert_allclose(found, head.predict_proba(features), atol=1e-4)


@pytest.mark.parametrize("pictures", [noise(0)[..., 0], noise(0) / 255, noise(0)[:0]], ids=["grey", "floats", "none"])
@pytest.mark.parametrize("describe", [opponents.thumbnails, opponents.descriptions])
def test_what_is_no_rgb_picture_is_refused(describe, pictures: np.ndarray):
    with pytest.raises(UserError, match=r"give (RGB pictures|one or more)"):
        describe(pictures)


def test_a_thumbnail_is_not_larger_than_its_picture_and_features_are_a_table():
    with pytest.raises(UserError, match="side=25 is larger than a picture of 36 x 24"):
        opponents.thumbnails(noise(0), 25)
    with pytest.raises(UserError, match="validation features"):
        opponents.tuned_head(np.ones((2, 3)), [0, 1], (np.full((2, 3), np.nan), [0, 1]))
    with pytest.raises(UserError, match="choose_by='loss' is unknown; choose one of 'accuracy', 'log loss'"):
        opponents.tuned_head(np.eye(2), [0, 1], (np.eye(2), [0, 1]), choose_by="loss")
