"""Trainings that survive their processes: from a base model and data to an adapter or a model."""
