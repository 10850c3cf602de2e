"""Python parts of the scripts in this folder: the changed stacks, and calls to GitHub."""
