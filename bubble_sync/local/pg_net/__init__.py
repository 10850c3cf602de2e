"""Emulate pg_net: its worker sends the queued requests."""
