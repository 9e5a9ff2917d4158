"""The router's doors: gRPC and OpenAI-compatible HTTP."""
