"""The gRPC surface of evaluation."""
