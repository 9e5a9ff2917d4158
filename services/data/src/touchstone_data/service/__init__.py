"""Use cases: pipelines, their course, and the work of their stages."""
