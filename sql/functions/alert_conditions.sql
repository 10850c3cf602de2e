-- Return a condition and its line for each condition of the queue that holds and was not posted within the cooldown. Waiting
-- items are those that the processor counts, since their creation, their last end or their retry time; without growing_ticks
-- and oldest_minutes none is late. Lines contain only counts and fixed text, because an item's error may contain anything.
create or replace function bubble_sync.alert_conditions(new_failures integer, growing_ticks integer, oldest_minutes integer, cooldown_minutes integer)
returns text[]
language plpgsql
volatile
security invoker
set search_path = ''
as $function$
declare
    ready constant timestamptz := pg_catalog.now() - cooldown_minutes * interval '1 minute';
    known bubble_sync.alerts%rowtype;
    state bubble_sync.alerts%rowtype;
    depth bigint;
    last_depth bigint;
    oldest timestamptz;
    failing boolean;
    growing boolean;
    late boolean;
    lines text[];
begin
    select * into known from bubble_sync.alerts;
    state := known;

    select pg_catalog.count(*), coalesce(pg_catalog.bit_xor(pg_catalog.hashtextextended(item.id::text, 0)), 0)
    into state.failed, state.failed_items
    from public.sync_queue as item
    where item.status = 'failed';
    -- As many as before may be others. Those that are not failed any more need no word.
    state.newly_failed := least(state.failed, known.newly_failed + case
        when state.failed > known.failed then state.failed - known.failed
        when state.failed = known.failed and state.failed_items <> known.failed_items then 1
        else 0 end);
    -- The condition ends when as few items are failed as before it began.
    failing := 'failures' = any (known.holding);
    if failing then
        failing := state.failed > known.failed_before;
        state.newly_failed := least(state.newly_failed, greatest(0, state.failed - known.failed_before));
    end if;
    if not failing and state.newly_failed >= new_failures then
        failing := true;
        state.failed_before := greatest(0, state.failed - state.newly_failed);
    end if;
    if state.newly_failed >= new_failures and known.failures_told < ready then
        lines := lines || array[array['failures',
            pg_catalog.format('%s newly failed; %s failed in all', state.newly_failed, state.failed)]];
        state.newly_failed := 0;
        state.failures_told := pg_catalog.now();
    end if;

    select pg_catalog.count(*), pg_catalog.min(greatest(item.created_at, item.processed_at, item.next_retry_at))
    into depth, oldest
    from public.sync_queue as item
    where item.status = 'pending' and item.operation in ('SIGNUP_ATOMIC', 'INSERT', 'UPDATE');
    last_depth := known.depths[pg_catalog.cardinality(known.depths)];
    state.depths := case
        when depth = last_depth then known.depths
        when depth > last_depth and growing_ticks is not null then
            (known.depths || depth)[greatest(1, pg_catalog.cardinality(known.depths) + 1 - growing_ticks):]
        else array[depth] end;
    -- The condition ends at a tick with fewer waiting items than before.
    growing := growing_ticks is not null and (
        pg_catalog.cardinality(state.depths) > growing_ticks or 'growing' = any (known.holding) and depth >= last_depth
    );
    if pg_catalog.cardinality(state.depths) > growing_ticks and known.growing_told < ready then
        lines := lines || array[array['growing', pg_catalog.format(
            'the queue grew %s times without falling: from %s to %s waiting', growing_ticks, state.depths[1], depth)]];
        state.depths := array[depth];
        state.growing_told := pg_catalog.now();
    end if;

    late := coalesce(oldest < pg_catalog.now() - oldest_minutes * interval '1 minute', false);
    if late and known.oldest_told < ready then
        lines := lines || array[array['oldest',
            pg_catalog.format('an item has waited for %s minutes, more than %s; %s waiting in all',
                pg_catalog.floor(extract(epoch from pg_catalog.now() - oldest) / 60), oldest_minutes, depth)]];
        state.oldest_told := pg_catalog.now();
    end if;

    if state is distinct from known then
        update bubble_sync.alerts
        set (failed, failed_items, newly_failed, failed_before, depths, failures_told, growing_told, oldest_told) = (
            state.failed, state.failed_items, state.newly_failed, state.failed_before, state.depths, state.failures_told,
            state.growing_told, state.oldest_told
        )
        where only_row;
    end if;
    perform bubble_sync.alert_holds('failures', failing);
    perform bubble_sync.alert_holds('growing', growing);
    perform bubble_sync.alert_holds('oldest', late);
    return lines;
end;
$function$;

comment on function bubble_sync.alert_conditions(integer, integer, integer, integer) is 'bubble-sync: what the queue gives to tell';
