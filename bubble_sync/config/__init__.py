"""Read the configuration of a stack: its settings, its database URL, its stack file."""
