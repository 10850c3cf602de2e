"""The Supabase queue -> pg_cron -> pg_net -> Edge Function sync, converged and explained."""
