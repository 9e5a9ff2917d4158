"""The rules of the Kubernetes API as pure functions over objects and schemas."""
