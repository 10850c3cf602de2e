"""The parts of the scripts in this folder that shell does badly: the changed stacks, and calls to GitHub."""
