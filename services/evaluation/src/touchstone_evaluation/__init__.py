"""Evaluation: runs whose verdicts move traffic."""
