"""Plans: (spec, observed, now) → wanted children and status. Pure: no I/O, no clock, no environment."""
