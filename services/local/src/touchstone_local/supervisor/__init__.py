"""The supervisor: starts the platform's processes in order, keeps them running, and stops them all."""
