"""The router: the door that product services call. It answers with the revision that the traffic weights choose."""
