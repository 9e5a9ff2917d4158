"""Reconcilers: one a kind. Each observes, plans, applies and writes status; running it again changes nothing."""
