"""The composition roots, one a process: each process loads only what it uses."""
