"""The training program: one run in a process of its own, `python -m touchstone_finetuning.training WORKSPACE`."""
