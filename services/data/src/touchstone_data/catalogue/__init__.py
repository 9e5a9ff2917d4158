"""The steps that come with the platform, one a file; others come by entry points."""
