"""Declare the set-up as one tree of ComponentResources, in order."""
