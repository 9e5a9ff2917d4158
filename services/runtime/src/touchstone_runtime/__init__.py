"""What every Touchstone process is made of."""
