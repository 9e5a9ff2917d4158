"""What a training is. Pure."""
