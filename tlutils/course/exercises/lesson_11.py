"""Check the exercises of lesson 11."""

from __future__ import annotations

from typing import Any

import numpy as np

from tlutils.course.exercises import answers


def _highest_sensitivity(labels: Any, scores: Any, specificity: float) -> float:
    """Highest sensitivity over all thresholds "score >= t" that let at least `specificity` of the negatives pass."""
    negatives, positives = scores[labels == 0], scores[labels == 1]
    # Above every score, nothing is called positive: a threshold that always keeps the specificity.
    found = [0.0]
    for threshold in np.unique(scores):
        if np.mean(negatives < threshold) >= specificity - 1e-9:
            found.append(float(np.mean(positives >= threshold)))
    return max(found)


def sensitivity_at_specificity(answer: Any) -> str | None:
    """A function (labels, scores, specificity) -> the share of positives found at this specificity."""
    rng = np.random.default_rng(8)
    labels = np.repeat([0, 1], [400, 100])
    # Scores above 1 and below 0 as well: logits are scores, too.
    scores = np.concatenate([rng.normal(0, 1, 400), rng.normal(1.6, 1.1, 100)])
    order = rng.permutation(500)
    labels, scores = labels[order], scores[order]
    how = "sensitivity_at_specificity(labels, scores, specificity)"
    value = answers.as_array(answers.called(answer, how, labels, scores, 0.9), "one number")
    right = _highest_sensitivity(labels, scores, 0.9)
    negatives, positives = scores[labels == 0], scores[labels == 1]
    # A quantile between two scores instead of at one moves the result by a positive at most.
    if value.shape or not abs(value - right) <= 1 / len(positives) + 1e-9:
        return _mistaken_sensitivity(value, negatives, positives, right)
    # Ties: twenty negatives share one score. Called positive, they cost more specificity than allowed.
    tied, tied_labels = np.array([0.2] * 80 + [0.5] * 20 + [0.5] * 6 + [0.9] * 4), np.repeat([0, 1], [100, 10])
    return answers.judge(
        answers.called(answer, how, tied_labels, tied, 0.9),
        0.4,
        [],
        "Right without ties. But of 100 negatives 80 score 0.2 and 20 score 0.5, of 10 positives 6 score 0.5 and "
        "4 score 0.9: at a specificity of 0.9 you find {value:.2f}, it is 0.40. A score of 0.5 must not "
        "raise an alarm here, or 20 of 100 negatives do. Compare with > if the threshold is a negative's score.",
    )


def _mistaken_sensitivity(value: Any, negatives: Any, positives: Any, right: float) -> str | None:
    """Name the mistake that leads to a wrong number."""
    limit = np.quantile(negatives, 0.9)
    everything = np.concatenate([negatives, positives])
    hits, alarms = np.sum(positives > limit), np.sum(everything > limit)
    mistakes = [
        (
            np.mean(positives > np.quantile(positives, 0.9)),
            "A tenth. Either the threshold comes from the positives' scores, or you count false alarms: take it from "
            "the negatives' scores (labels == 0), and count the positives above it (labels == 1).",
        ),
        (
            np.mean(positives > np.quantile(everything, 0.9)),
            "The threshold comes from the scores of all pictures. Specificity is about the negatives alone.",
        ),
        (
            np.mean(positives > np.quantile(negatives, 0.1)),
            "The threshold lets 10 % of the negatives pass, not 90 %. Take their quantile at the specificity itself.",
        ),
        (1 - right, "This is the share of positives that are missed. Sensitivity counts those above the threshold."),
        (
            np.mean(negatives < np.quantile(positives, 0.1)),
            "Sensitivity and specificity are swapped: this is the specificity at a sensitivity of 0.9.",
        ),
        (alarms / len(everything), "You divide by all pictures. Sensitivity is a share of the positives."),
        (hits / alarms, "This is the precision, a share of the alarms. Sensitivity is a share of the positives."),
    ]
    otherwise = (
        f"With 400 negatives and 100 positives you find {{value:.3f}} at a specificity of 0.9; it is {right:.3f}."
    )
    return answers.judge(value, right, mistakes, otherwise, within=1 / len(positives) / 2)


def ppv(answer: Any) -> str | None:
    """A function (sensitivity, specificity, prevalence) -> positive predictive value, by Bayes' formula."""
    how, (se, sp, ill) = "ppv(sensitivity, specificity, prevalence)", (0.8, 0.9, 0.02)
    value = answers.called(answer, how, se, sp, ill)
    true, false = se * ill, (1 - sp) * (1 - ill)
    missed, passed = (1 - se) * ill, sp * (1 - ill)
    mistakes = [
        (
            se / (se + 1 - sp),
            "The prevalence is missing: you weigh the ill and the healthy alike, as if half were ill.",
        ),
        (
            passed / (passed + missed),
            "This is the negative predictive value: the healthy among those without an alarm.",
        ),
        (sp * ill / (sp * ill + (1 - se) * (1 - ill)), "Sensitivity and specificity are swapped."),
        (true / (true + 1 - sp), "False alarms come from the healthy: multiply 1 - specificity by 1 - prevalence."),
        (true / (true + passed), "You divide by the healthy without an alarm. False alarms have 1 - specificity."),
        (true, "This is the share of all people who are ill and found. Divide it by the share of all alarms."),
        (true / false, "These are the odds. Divide by true and false alarms together."),
        (false / (true + false), "This is the share of false alarms among the alarms; you want the true ones."),
    ]
    otherwise = "ppv(0.8, 0.9, 0.02) is 0.140, you return {value:.3f}. Count true and false alarms per person."
    hint = answers.judge(value, true / (true + false), mistakes, otherwise)
    if hint is None and not answers.gives(answer, 0.18 / (0.18 + 0.05 * 0.7), 0.6, 0.95, 0.3):
        return "Right for one case, but ppv(0.6, 0.95, 0.3) is 0.837. Use the arguments."
    return hint
