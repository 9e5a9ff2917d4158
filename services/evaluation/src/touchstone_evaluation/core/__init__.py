"""Pure parts: items, scores, statistics, criteria, verdicts. No I/O, no clock, no environment."""
