"""What the tests of experiments ask of verdicts."""

from __future__ import annotations


def answers(experiment, numbers):
    """The verdict on each claim, by its title."""
    return {title: verdict.answer for title, verdict in experiment.judge(numbers).items()}
