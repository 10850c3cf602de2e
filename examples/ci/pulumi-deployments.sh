#!/usr/bin/env bash
# Gives a stack of Pulumi Cloud its settings for Pulumi Deployments: previews of pull requests, `up` for pushes to main.
#   ./pulumi-deployments.sh acme/shop-sync/prod acme/shop-sync
# The stack file imports the database's address from Pulumi ESC (esc.yaml): environment: [bubble-sync/observe]
set -euo pipefail
readonly stack=${1:?a stack: ORGANISATION/PROJECT/STACK} repository=${2:?a repository: OWNER/NAME}

pulumi deployment settings edit --stack "$stack" --github-repo "$repository" --branch main --folder . \
    --preview-prs --push-to-deploy --pre-run-command "uv sync --locked"
