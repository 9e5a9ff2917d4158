"""Where events come in and reconciles go out: watches, the work queue, the lease, health."""
