"""Check the exercises of lesson 11b."""

from __future__ import annotations

from typing import Any

from tlutils.course.exercises import answers


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


def remedy(answer: Any) -> str | None:
    """What to do in each of four cases."""
    options = ("move the threshold", "correct the odds", "show both kinds in training", "test more patients")
    hints = {
        "A": "A: the ranking is good, and nobody lies above 0.5. Nothing has to be learnt anew to change what an alarm "
        "is.",
        "B": "B: only the share of the ill has changed. There is a formula for what that does to a probability.",
        "C": "C: the network can tell the ill by the noise. A threshold or a formula does not take that out of it.",
        "D": "D: what is missing is evidence: two ill patients say little, whatever you do to the network.",
    }
    cases = {case: (right, hints[case]) for case, right in zip("ABCD", options, strict=True)}
    return answers.matched(answer, options, cases)
