"""The operator: turns the kinds of touchstone.dev into revisions, workloads, evaluations and traffic weights."""
