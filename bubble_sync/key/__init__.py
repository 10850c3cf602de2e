"""Show, probe and rotate the service role key."""
