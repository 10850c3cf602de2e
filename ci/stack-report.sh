#!/usr/bin/env bash
# Prints what `up` would do to one stack, in Markdown: what `bubble-sync diff` finds, then Pulumi's own preview, folded.
#
#   ci/stack-report.sh TITLE --stack STACK [--config-file FILE]
#
# Variables: those of the stack: PULUMI_BACKEND_URL, PULUMI_CONFIG_PASSPHRASE, and the one its databaseUrlEnv names.
# Exit: 0 printed; 1 refused; 2 configuration; 3 unreachable; 4 a bug of ours. The report then says why.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export PATH="$PATH:$PWD/.venv/bin"

# An indented block of code holds any text; a function's body could close a fence.
folded() {
    printf '\n<details>\n<summary>%s</summary>\n\n' "$1"
    .venv/bin/python -m ci.masked | sed 's/^/    /'
    printf '\n</details>\n'
}

printf '## %s\n\n' "$1"
shift
complaint=$(mktemp)
trap 'rm -f "$complaint"' EXIT

code=0
.venv/bin/bubble-sync diff --markdown "$@" 2>"$complaint" || code=$?
# Exit 1 means differences, which are no failure of a preview.
if [ "$code" -gt 1 ]; then
    printf '**bubble-sync diff failed, exit %s.**\n' "$code"
    folded "What it said" <"$complaint"
    exit "$code"
fi

if preview=$(pulumi preview --diff --color never --non-interactive "$@" 2>&1); then
    folded "pulumi preview --diff" <<<"$preview"
else
    printf '\n**pulumi preview refuses.**\n'
    folded "pulumi preview --diff" <<<"$preview"
    exit 1
fi
