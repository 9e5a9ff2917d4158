"""The door: gRPC in, use cases, gRPC out."""
