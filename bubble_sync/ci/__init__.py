"""Continuous integration: the stacks that a change touches, saved plans, and texts for GitHub."""
