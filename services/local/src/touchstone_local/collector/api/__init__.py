"""The collector's doors: OTLP over gRPC in, HTTP out."""
