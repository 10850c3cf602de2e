#!/usr/bin/env bash
# Forgets the stack of one Supabase branch, and first removes its objects where the branch's database is still there.
#
#   ./branch-down.sh STACK
#
# Variables: PULUMI_BACKEND_URL and PULUMI_CONFIG_PASSPHRASE; POSTGRES_URL of the branch, or none when Supabase has deleted
#   the branch and its database.
# Exit: 0 forgotten, or never made; 2 usage; else as Pulumi exits: then the stack is still there.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
export PATH="$PATH:$PWD/.venv/bin"

[ $# -eq 1 ] || { echo "usage: ./branch-down.sh STACK" >&2; exit 2; }
readonly stack=$1
unset BUBBLE_SYNC_CONFIG

code=0
pulumi stack select "$stack" --non-interactive || code=$?
# Pulumi's code for a stack that is not there.
[ "$code" -ne 6 ] || exit 0
[ "$code" -eq 0 ] || exit "$code"
if [ -n "${POSTGRES_URL:-}" ]; then pulumi destroy --yes --stack "$stack" --non-interactive; fi
pulumi stack rm --yes --force --stack "$stack" --non-interactive
