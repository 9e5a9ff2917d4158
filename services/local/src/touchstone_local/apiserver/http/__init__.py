"""The protocol of the Kubernetes API over HTTP: paths, media types, bodies, streams."""
