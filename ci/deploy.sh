#!/usr/bin/env bash
# Deploys one stack from a saved plan: `up` does what the reviewer saw, or nothing.
#
#   ci/deploy.sh STACK plan       prints what `up` would do, and saves it as a plan
#   ci/deploy.sh STACK apply      applies the plan; refuses a stack that changed since then
#   ci/deploy.sh STACK            both
#
# Variables: PULUMI_BACKEND_URL, PULUMI_CONFIG_PASSPHRASE, and what the stack's databaseUrlEnv names; PLAN, the plan's file
#   (default plan-STACK.json; its secrets are encrypted as those in the state are).
# Exit: 0 planned, deployed; 1 refused, unreachable or violated; 2 usage; else as Pulumi exits (6: no such stack).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export PATH="$PATH:$PWD/.venv/bin"

usage() { sed -n '2,/^set /{/^#/p;}' "$0" >&2; exit 2; }

# Pulumi shows jobs and descriptions as they are, with keys that people wrote into them.
masked() { .venv/bin/python -m ci.masked; }

plan() {
    pulumi preview --diff --save-plan "$file" "${options[@]}" 2>&1 | masked
}

# `up` compares with the plan twice, first in a preview: a stack with earlier drift is refused with nothing changed.
#
# For a violated plan Pulumi prints the plan's secrets, and masks only today's configuration values
# (docs/explanation/security.md). So its output goes into a private file, appears only without a violation, and is removed.
apply() {
    local said code=0
    [ -f "$file" ] || { echo "deploy: there is no plan $file: ci/deploy.sh $stack plan" >&2; exit 1; }
    said=$(mktemp)
    # shellcheck disable=SC2064 # now, not then: the variable is this function's
    trap "rm -f '$said'" EXIT
    pulumi up --yes --plan "$file" "${options[@]}" >"$said" 2>&1 || code=$?
    if ! grep -qi 'violates plan' "$said"; then
        masked <"$said"
        return "$code"
    fi
    {
        echo "deploy: stack $stack is not what it was when the plan was made. The plan is violated, and refused at:"
        # Pulumi gives the whole configuration to a provider called `default`.
        grep -oE 'urn:pulumi:[^ ]+' "$said" | sed 's/.*::/  /; s/^  default$/  the configuration/' | sort -u | masked
        if grep -q '^Updating (' "$said"; then
            echo "deploy: it changed while the plan was applied: other steps of the plan may be done."
        else
            echo "deploy: nothing was changed."
        fi
        echo "deploy: Pulumi's own words are kept back: they hold secrets of the plan, and a log may be public."
        echo "deploy: look at a new plan, then apply that: ci/deploy.sh $stack plan"
    } >&2
    return 1
}

[ $# -ge 1 ] && [ $# -le 2 ] || usage
stack=$1
file=${PLAN:-plan-$stack.json}
options=(--stack "$stack" --color never --non-interactive)
case "${2:-both}" in
    plan) plan ;;
    apply) apply ;;
    both) plan && apply ;;
    *) usage ;;
esac
