"""The least that Pulumi can run in Python."""
