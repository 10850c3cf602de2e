"""Install and run the embedded PostgreSQL server."""
