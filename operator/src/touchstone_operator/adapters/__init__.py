"""The systems outside the operator, each behind a port."""
