#!/usr/bin/env bash
# Reports what a change would do, without any secret and without a real project: safe for a stranger's change.
#
# For each stack that the commits since BASE touch: an embedded platform, `up` from BASE with a sanitised copy of the
# stack's file, and then diff and preview of HEAD against that. Backend, platform and work tree are thrown away.
#
#   ci/preview-fork.sh [STACK...]
#
# Variables: BASE (a revision, default origin/main); REPORT, a file that gets the report too.
# Exit: as ci/preview.sh; 1 also when BASE itself does not come up.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
readonly head=$PWD base_revision=${BASE:-origin/main}
export PATH="$PATH:$PWD/.venv/bin"
# This variable holds the settings of a real stack.
unset BUBBLE_SYNC_CONFIG

stacks=$* worst=0
[ $# -gt 0 ] || stacks=$(.venv/bin/python -m ci.changed_stacks "$base_revision")
scratch=$(mktemp -d)
report=${REPORT:-$scratch/report.md}
readonly base=$scratch/base
: >"$report"

in_base() { (cd "$base" && "$base/.venv/bin/bubble-sync" "$@"); }

# shellcheck disable=SC2329 # the trap calls it
clean_up() {
    local status=$?
    if [ -d "$base/.venv" ]; then in_base local down >/dev/null 2>&1 || true; fi
    git worktree remove --force "$base" 2>/dev/null || true
    rm -rf "$scratch"
    exit "$status"
}
trap clean_up EXIT

sanitise() { # TREE STACK
    .venv/bin/python -m ci.sanitised_stack "$1/Pulumi.$2.yaml" "$folder/pulumi/Pulumi.local.yaml" >"$folder/pulumi/$2.yaml"
}

one_stack() {
    local stack=$1 folder
    in_base local up >&2 || return 1
    folder=$(in_base local status --json | .venv/bin/python -c 'import json, sys; print(json.load(sys.stdin)["folder"])') || return 1
    # shellcheck source=/dev/null # made by `local up`: backend, passphrase and address of this platform
    . "$folder/environment"
    if [ -f "$base/Pulumi.$stack.yaml" ]; then
        sanitise "$base" "$stack" || return 1
        (cd "$base" && PATH="$base/.venv/bin:$PATH" pulumi up --yes --skip-preview --color never --non-interactive \
            --stack local --config-file "$folder/pulumi/$stack.yaml") >&2 || return 1
    fi
    sanitise "$head" "$stack" || return 1
    ci/stack-report.sh "Stack \`$stack\`, rehearsed" --stack local --config-file "$folder/pulumi/$stack.yaml"
}

if [ -n "$stacks" ]; then
    git worktree add --quiet --detach "$base" "$base_revision"
    "$base/tools/setup" >&2
else
    echo "preview: no stack is touched" >&2
fi
for stack in $stacks; do
    echo "preview: stack $stack, on a platform of its own" >&2
    code=0
    (one_stack "$stack") >>"$report" || code=$?
    in_base local down >&2 || true
    [ "$code" -le "$worst" ] || worst=$code
done

cat "$report"
[ -z "${GITHUB_STEP_SUMMARY:-}" ] || cat "$report" >>"$GITHUB_STEP_SUMMARY"
exit "$worst"
