"""Change a stack or its queue: one module per command."""
