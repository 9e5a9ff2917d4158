"""One question, one answer: the use case of the planner."""
