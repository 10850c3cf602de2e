"""Read what the database recorded: requests, their verdicts, and what the role can see."""
