"""The operator: turns the four kinds of touchstone.dev into revisions, workloads, evaluations and traffic weights."""
