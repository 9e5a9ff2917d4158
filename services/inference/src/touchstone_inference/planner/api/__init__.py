"""The planner behind gRPC."""
