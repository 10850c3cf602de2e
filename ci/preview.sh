#!/usr/bin/env bash
# Reports what a change would do, stack by stack, in Markdown on standard output. Reads databases and changes nothing.
#
#   ci/preview.sh [STACK...]      without a stack: those that the commits since BASE touch
#
# Variables: BASE (a revision, default origin/main); PULUMI_BACKEND_URL, PULUMI_CONFIG_PASSPHRASE, and what each stack's
#   databaseUrlEnv names; REPORT, a file that gets the report too, for ci/comment.sh.
# Exit: 0 reported; else the highest of 1 refused, 2 configuration, 3 unreachable, 4 a bug of ours: the report says which.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# This variable holds the settings of one stack.
unset BUBBLE_SYNC_CONFIG

stacks=$* worst=0 code=0
[ $# -gt 0 ] || stacks=$(.venv/bin/python -m ci.changed_stacks "${BASE:-origin/main}")
report=${REPORT:-$(mktemp)}
[ -n "${REPORT:-}" ] || trap 'rm -f "$report"' EXIT
: >"$report"

for stack in $stacks; do
    echo "preview: stack $stack" >&2
    code=0
    ci/stack-report.sh "Stack \`$stack\`" --stack "$stack" >>"$report" || code=$?
    [ "$code" -le "$worst" ] || worst=$code
done
[ -n "$stacks" ] || echo "preview: no stack is touched" >&2

cat "$report"
[ -z "${GITHUB_STEP_SUMMARY:-}" ] || cat "$report" >>"$GITHUB_STEP_SUMMARY"
exit "$worst"
