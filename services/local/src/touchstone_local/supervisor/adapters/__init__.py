"""The outside of the supervisor: processes, checks, files."""
