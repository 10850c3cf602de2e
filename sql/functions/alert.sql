-- Run by the job bubble-sync-alerts: posts new alerts and the end of a condition to the destinations, and a heartbeat while
-- nothing is wrong. bubble_sync.alerts has the state. Without changes it writes nothing. Of concurrent calls only one runs.
-- An error fails the job's run and does not affect the sync.
create or replace function bubble_sync.alert()
returns void
language plpgsql
volatile
security invoker
set search_path = ''
set standard_conforming_strings = 'on'
set TimeZone = 'UTC'
set row_security = 'on'
set exit_on_error = 'off'
set lock_timeout = '1s'
as $function$
declare
    stack_name constant text := 'local';
    project_ref constant text := '';
    daily_report_at constant text := '07:00';
    new_failures constant integer := 1;
    growing_ticks constant integer := 10;
    oldest_minutes constant integer := 15;
    rejected_requests constant integer := 3;
    cooldown_minutes constant integer := 60;
    dispatch_log constant boolean := true;
    -- The name of each destination's secret.
    destinations constant text := '{"webhook": "bubble_sync_alert_webhook_url"}';
    -- The end of each paused job's pause, or an empty text.
    pauses constant text := '{}';
    -- Without a zone: a day of the server's own may have 23 hours.
    moment constant timestamp := pg_catalog.now() at time zone 'UTC';
    due timestamp := pg_catalog.date_trunc('day', moment) + daily_report_at::time;
    monday timestamp;
    state bubble_sync.alerts%rowtype;
    paused boolean;
    overdue text;
    report text;
    wrong boolean;
    lines text[];
    told text[];
begin
    if not pg_catalog.pg_try_advisory_xact_lock(pg_catalog.hashtextextended('bubble-sync alert', 0)) then
        return;
    end if;

    select * into state from bubble_sync.alerts;
    if not found then
        -- The first message also shows that the webhook is the right one.
        insert into bubble_sync.alerts default values returning * into state;
        lines := array[pg_catalog.format('alerts are on; the next daily report is due at %s UTC', daily_report_at)];
    end if;

    select
        pg_catalog.bool_or(pause.key = 'processor' and (pause.value = '' or pause.value::timestamptz > pg_catalog.now())),
        pg_catalog.string_agg(
            pg_catalog.format('the %s job is paused past the end of its pause, %s', pause.key, pause.value), '; '
            order by pause.key
        ) filter (where pause.value <> '' and pause.value::timestamptz <= pg_catalog.now())
    into paused, overdue
    from pg_catalog.jsonb_each_text(pauses::jsonb) as pause;

    -- Items wait on purpose in a pause of the processor.
    told := bubble_sync.alert_conditions(new_failures, case when paused then null else growing_ticks end,
            case when paused then null else oldest_minutes end, cooldown_minutes)
        || case when dispatch_log then bubble_sync.alert_rejected(rejected_requests, cooldown_minutes) end;
    if not dispatch_log then
        perform bubble_sync.alert_holds('rejected', false);
    end if;
    perform bubble_sync.alert_holds('pause', overdue is not null);
    if overdue is not null and state.pause_told < pg_catalog.now() - cooldown_minutes * interval '1 minute' then
        told := told || array[array['pause', overdue]];
        update bubble_sync.alerts set pause_told = pg_catalog.now() where only_row;
    end if;
    wrong := coalesce(pg_catalog.cardinality(told), 0) > 0;
    lines := lines || array(select told[place][2] from pg_catalog.generate_subscripts(told, 1) as place order by place);

    due := case when due > moment then due - interval '1 day' else due end;
    if state.daily_told < due at time zone 'UTC' then
        report := bubble_sync.alert_report(1, false, dispatch_log);
        if pg_catalog.starts_with(report, 'not') then
            lines := lines || ('daily report, ' || report);
            wrong := true;
        end if;
        update bubble_sync.alerts set daily_told = pg_catalog.now() where only_row;
    end if;
    monday := due - (extract(isodow from due) - 1) * interval '1 day';
    if state.weekly_told < monday at time zone 'UTC' then
        report := bubble_sync.alert_report(7, wrong or greatest(state.failures_told, state.growing_told, state.oldest_told,
            state.rejected_told, state.pause_told) >= pg_catalog.now() - interval '7 days', dispatch_log);
        lines := lines || ('this week, ' || report);
        update bubble_sync.alerts set weekly_told = pg_catalog.now() where only_row;
    end if;

    perform bubble_sync.alert_deliver(destinations, told,
        case when pg_catalog.cardinality(lines) > 0 then
            pg_catalog.format(E'bubble-sync, stack %s%s\n- %s%s', stack_name, ' (' || nullif(project_ref, '') || ')',
                pg_catalog.array_to_string(lines, E'\n- '),
                case when wrong then E'\nNext: bubble-sync doctor --stack ' || stack_name else '' end)
        end);
end;
$function$;

comment on function bubble_sync.alert() is 'bubble-sync: posts to the webhook what a person should know';
