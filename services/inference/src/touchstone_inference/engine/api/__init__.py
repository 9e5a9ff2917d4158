"""The gRPC surface of the engine."""
