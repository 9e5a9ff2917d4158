"""Engines as deployments of Ray Serve."""
