#!/usr/bin/env bash
# Writes a preview's report into our one comment of a pull request. GitHub only; GitLab: see docs/guides/ci.md.
#
# Variables: REPORT (the file that ci/preview.sh wrote), PULL_REQUEST (its number), GITHUB_REPOSITORY (owner/name),
#   GITHUB_TOKEN (pull-requests: write); GITHUB_API_URL where it is not GitHub's; REPORT_AUTHOR, the login that the token
#   writes as, where it is not the one of GitHub's Actions.
# Exit: 0 done; 1 refused; 2 a variable is missing; 3 GitHub does not answer, or not now.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
exec .venv/bin/python -m ci.sticky_comment
