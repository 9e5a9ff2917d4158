"""Use cases: starting runs and showing them, planning, asking, concluding, and seeing that work goes on."""
