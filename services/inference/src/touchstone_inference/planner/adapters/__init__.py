"""Where a plan is computed: in a process of its own, so that answers to others do not wait for it."""
