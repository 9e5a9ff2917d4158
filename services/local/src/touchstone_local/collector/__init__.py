"""An OpenTelemetry backend in memory: takes OTLP over gRPC, answers queries over HTTP, forgets the oldest."""
