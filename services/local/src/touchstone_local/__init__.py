"""The platform on one machine: an embedded Kubernetes API, a workload runner, a supervisor, a collector and the CLI."""
