"""Emulate the Edge Function: an HTTP endpoint that drains the queue."""
