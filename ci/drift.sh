#!/usr/bin/env bash
# Compares every stack but `local` with its database, and reports drift in Markdown on standard output. Changes nothing.
#
# Variables: PULUMI_BACKEND_URL, PULUMI_CONFIG_PASSPHRASE, and what each stack's databaseUrlEnv names; REPORT, a file that
#   gets the report too, and the exit code in REPORT.exit, for ci/drift-issue.sh.
# Exit: 0 clean; 1 drift; 2 configuration; 3 some stack is unreachable, the others are reported; 4 a bug of ours.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export PATH="$PATH:$PWD/.venv/bin"
# This variable holds the settings of one stack.
unset BUBBLE_SYNC_CONFIG

code=0
report=$(.venv/bin/bubble-sync drift --all-stacks --markdown) || code=$?
printf '%s\n' "$report"
if [ -n "${REPORT:-}" ]; then
    printf '%s\n' "$report" >"$REPORT"
    echo "$code" >"$REPORT.exit"
fi
[ -z "${GITHUB_STEP_SUMMARY:-}" ] || printf '%s\n' "$report" >>"$GITHUB_STEP_SUMMARY"
exit "$code"
