"""The tasks that come with the service, one a file. A plug-in adds its own by an entry point of the same group."""
