-- title: Something else that calls the endpoint
-- needs: cron.job:all
-- Earlier generations of the sync that nobody took away: a job that posts to the same Edge Function by itself or through a
-- helper that is given its name, a function that does, whatever calls it, a trigger, a Database Webhook. Two senders drain
-- one queue, one of them with another key or none. What merely mentions the function is none. An address that is made of
-- parts in a way that no text shows cannot be seen.
select
    case when other.object ~ '^(job|trigger) ' and other.object !~ ', not active' then 'warning' else 'info' end as level,
    other.object as object,
    other.evidence as evidence,
    'Where nothing needs it: ' || other.remedy as remedy
from pg_catalog.jsonb_to_recordset(%(reaching)s::jsonb) as other (object text, evidence text, remedy text)
where not exists (
    -- One that calls our function is job_duplicated's.
    select from cron.job as j
    join pg_catalog.jsonb_to_recordset(%(jobs)s::jsonb) as ours (command text)
        on j.command ~* ('\m' || pg_catalog.substring(ours.command, '(\w+)\(') || '\s*\(')
    where j.active and other.remedy = pg_catalog.format('select cron.unschedule(%%s);', j.jobid)
);
