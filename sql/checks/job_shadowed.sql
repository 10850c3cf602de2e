-- title: Something else that sends to the endpoint
-- needs: cron.job:all
-- A job, trigger, rule or default that posts to the same Edge Function by itself, through a helper that is given its name,
-- or through a function that does. Two senders drain one queue, one of them with another key or none. What does so only
-- when it is called, and what is not active, is told as information. A job that calls our function is `job_duplicated`.
select other.level, other.object, other.evidence, 'Where nothing needs it: ' || other.remedy as remedy
from pg_catalog.jsonb_to_recordset(%(reaching)s::jsonb)
    as other (level text, object text, evidence text, remedy text, calls text)
where not (other.calls <> '' and other.level = 'warning');
