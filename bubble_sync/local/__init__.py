"""The embedded platform: a hosted-like PostgreSQL with pg_cron, and stand-ins for what no registry has."""
