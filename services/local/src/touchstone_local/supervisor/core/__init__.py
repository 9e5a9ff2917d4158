"""What runs on a platform, where, and in which order: pure functions and records."""
