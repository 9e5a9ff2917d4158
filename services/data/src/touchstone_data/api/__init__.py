"""The gRPC door: proto in, domain call, proto out."""
