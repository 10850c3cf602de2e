#!/usr/bin/env bash
# Makes the stack of one Supabase branch, or brings it up to date: the settings of another stack, with the branch's own
# project, database and key.
#
#   ./branch-up.sh STACK
#
# Variables: SUPABASE_URL, SUPABASE_SERVICE_ROLE_KEY and POSTGRES_URL, as `supabase branches get NAME -o env` prints them;
#   PULUMI_BACKEND_URL and PULUMI_CONFIG_PASSPHRASE; COPY_FROM, the stack with the settings (default staging);
#   CLONED_FROM, for a branch made with data: the ref of the project whose data the branch holds.
# Exit: 0 up; 2 a variable is missing; else as Pulumi exits.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
export PATH="$PATH:$PWD/.venv/bin"

[ $# -eq 1 ] || { echo "usage: ./branch-up.sh STACK" >&2; exit 2; }
for name in SUPABASE_URL SUPABASE_SERVICE_ROLE_KEY POSTGRES_URL; do
    [ -n "${!name:-}" ] || { echo "branch-up: $name is not set: supabase branches get NAME -o env" >&2; exit 2; }
done
readonly stack=$1 from=${COPY_FROM:-staging}
# It holds the settings of one stack.
unset BUBBLE_SYNC_CONFIG

configure() { pulumi config set --stack "$stack" --non-interactive "$@"; }

# The file of a stack from an earlier run went with that run's work tree.
if pulumi stack select "$stack" --non-interactive 2>/dev/null; then
    pulumi config cp --stack "$from" --dest "$stack" --non-interactive
else
    pulumi stack init "$stack" --copy-config-from "$from" --non-interactive
fi
# Whatever names or reaches the other environment stays there.
pulumi config rm-all --stack "$stack" --non-interactive bubble-sync:{projectRef,databaseUrl,access,monitorPassword} \
    bubble-sync:{alerts,alert{WebhookUrl,HeartbeatUrl,PagerDutyRoutingKey,OpsgenieApiKey}}
configure bubble-sync:supabaseUrl "$SUPABASE_URL"
configure bubble-sync:databaseUrlEnv POSTGRES_URL
printf %s "$SUPABASE_SERVICE_ROLE_KEY" | configure --secret bubble-sync:serviceRoleKey

if [ -n "${CLONED_FROM:-}" ]; then
    project=${SUPABASE_URL#*://}
    [ ! -f supabase-ca.crt ] || export PGSSLMODE=verify-full PGSSLROOTCERT=supabase-ca.crt
    psql "$POSTGRES_URL" --no-psqlrc --quiet --set ON_ERROR_STOP=1 \
        --set stack="$stack" --set project="${project%%.*}" --set parent="$CLONED_FROM" <<'SQL'
select to_regclass('bubble_sync.ledger') is not null as cloned \gset
\if :cloned
    update bubble_sync.ledger set stack = :'stack', project_ref = :'project' where project_ref = :'parent';
\endif
SQL
fi
pulumi up --yes --stack "$stack" --non-interactive
