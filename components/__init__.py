"""ComponentResources: the set-up as one tree, wired in order."""
