"""What the engine decides without the outside."""
