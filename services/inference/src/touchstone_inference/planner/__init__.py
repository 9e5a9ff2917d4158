"""What a model needs on which chips: a roofline, a memory estimate, a simulation, and advice from them."""
