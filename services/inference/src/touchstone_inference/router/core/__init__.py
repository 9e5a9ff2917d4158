"""Pure parts of the router: no I/O, no clock, no environment."""
