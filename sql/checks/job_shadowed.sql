-- title: Something else that sends to the endpoint
-- needs: cron.job:all
-- A job, trigger, rule or default that posts to the same Edge Function, directly or through another function. Two senders
-- drain one queue, one of them with another key or none. Inactive senders, and those that run only when called, are
-- information. A job that calls our function is `job_duplicated`.
select other.level, other.object, other.evidence, 'Where nothing needs it: ' || other.remedy as remedy
from pg_catalog.jsonb_to_recordset(%(reaching)s::jsonb)
    as other (level text, object text, evidence text, remedy text, calls text)
where not (other.calls <> '' and other.level = 'warning');
