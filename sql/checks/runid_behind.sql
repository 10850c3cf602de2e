-- title: Run numbers that are taken already
-- needs: cron.job_run_details
-- pg_cron numbers runs from the sequence cron.runid_seq. After a restore or an upgrade it can stand behind the table:
-- each run then fails on a duplicate key before it begins, and the launcher starts over, so that no job of the
-- database runs and nothing new is in the history. Known from Supabase's discussions 42484 and 52988, where it went
-- unnoticed for months.
select
    'error' as level,
    'sequence cron.runid_seq' as object,
    pg_catalog.format('it gives out %%s next, and there is a run %%s', s.last_value::numeric + s.is_called::integer, newest.runid)
        as evidence,
    case
        when pg_catalog.has_sequence_privilege('cron.runid_seq', 'UPDATE')
            then pg_catalog.format('select pg_catalog.setval(''cron.runid_seq'', %%s);', newest.runid)
        else pg_catalog.format(
            'delete from cron.job_run_details where runid >= %%s; (it loses those runs; or have Supabase''s support run '
            'select setval(''cron.runid_seq'', %%s);)', s.last_value::numeric + s.is_called::integer, newest.runid)
    end as remedy
from cron.runid_seq as s
cross join (select max(runid) as runid from cron.job_run_details) as newest
where s.last_value::numeric + s.is_called::integer <= newest.runid;
