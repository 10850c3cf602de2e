-- Triggers on the queue, each with the sequences of its function.
-- The block in observe.sql declares `given.`.

-- name: observe
-- One row for each wanted name, also of a trigger that is not there. `mine` is whether the role may create and drop it.
select
    wanted.name,
    pg_catalog.regexp_replace(
        pg_catalog.pg_get_triggerdef(t.oid), '^CREATE (CONSTRAINT )?TRIGGER ("([^"]|"")+"|\S+) ', '\1'
    ) as definition,
    case t.tgenabled when 'O' then 'origin' when 'D' then 'disabled' when 'R' then 'replica' else 'always' end as enabled,
    coalesce(pg_catalog.obj_description(t.oid, 'pg_trigger'), '') as comment,
    pg_catalog.pg_get_userbyid(c.relowner) as owner,
    pg_catalog.pg_has_role(c.relowner, 'USAGE') as mine,
    array(
        select s.relname::text
        from pg_catalog.pg_class as s
        join pg_catalog.pg_namespace as n on n.oid = s.relnamespace
        where n.nspname = 'bubble_sync' and s.relkind = 'S'
            and s.relowner = (select r.oid from pg_catalog.pg_roles as r where r.rolname = current_user)
        order by 1
    ) as sequences
from pg_catalog.unnest(given.triggers) as wanted (name)
join pg_catalog.pg_class as c on c.oid = pg_catalog.to_regclass('public.sync_queue')
left join pg_catalog.pg_trigger as t on t.tgrelid = c.oid and t.tgname = wanted.name and not t.tgisinternal;

-- name: lock
-- A change of a trigger waits for open inserts, and later inserts wait behind the change. So each attempt is short, and
-- between two of them all inserts go on. The table is in the error, for the search of its holders.
set local lock_timeout = '4ms';
do $$
begin
    for attempt in 1 .. 100 loop
        begin
            lock table public.sync_queue in {mode} mode;
            return;
        exception when lock_not_available then
            perform pg_catalog.pg_sleep(0.02 + 0.04 * pg_catalog.random());
        end;
    end loop;
    raise lock_not_available using message = 'the queue is locked', table = (
        select c.relname from pg_catalog.pg_class as c where c.oid = 'public.sync_queue'::pg_catalog.regclass
    );
end
$$;

-- name: sequence
create sequence if not exists bubble_sync.{sequence};
-- Whatever default privileges have given: the ledger's own revocation came before the sequence.
do $revoke$
declare
    sequence constant regclass := 'bubble_sync.' || {name};
    grantee text;
begin
    for grantee in
        select distinct case when x.grantee = 0 then 'public' else x.grantee::regrole::text end
        from pg_catalog.pg_class as c, pg_catalog.aclexplode(c.relacl) as x
        where c.oid = sequence and x.grantee <> c.relowner
    loop
        execute pg_catalog.format('revoke all on sequence %s from %s cascade', sequence, grantee);
    end loop;
end;
$revoke$;

-- name: create
create {kind} {name} {definition};
comment on trigger {name} on public.sync_queue is {comment};

-- name: comment
comment on trigger {name} on public.sync_queue is {comment};

-- name: enable
alter table public.sync_queue {how} trigger {name};

-- name: drop
drop trigger if exists {name} on public.sync_queue;

-- name: drop_sequence
drop sequence if exists bubble_sync.{sequence};
