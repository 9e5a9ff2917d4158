"""Spans, metrics and log lines as plain records: pure."""
