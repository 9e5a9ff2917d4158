"""The kinds that every cluster has: their schemas as data, their columns and their rules as functions."""
