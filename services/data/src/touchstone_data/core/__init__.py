"""Pure: records, steps, plans and the algorithms that steps are made of."""
