"""What to do, decided from what is: pure functions over objects and records."""
