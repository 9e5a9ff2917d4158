"""Outside systems of the API server: SQLite, the CEL library, the certificate library."""
