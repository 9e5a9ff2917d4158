"""The Kubernetes API, as far as services need it: requests as JSON, and Secrets by their names."""
