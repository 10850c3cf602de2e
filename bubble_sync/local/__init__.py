"""The embedded platform: a hosted-like PostgreSQL with pg_cron, and emulators for what no registry has."""
