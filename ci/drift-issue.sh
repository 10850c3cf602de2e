#!/usr/bin/env bash
# Opens, updates or closes the one issue about drift, after ci/drift.sh.
#
# Variables: REPORT (as for ci/drift.sh), GITHUB_REPOSITORY (owner/name), GITHUB_TOKEN (issues: write); RUN_URL, named
#   when the issue is closed; GITHUB_API_URL and REPORT_AUTHOR as in ci/comment.sh.
# Exit: 0 done; 1 refused; 2 a variable is missing, or the drift run itself failed; 3 GitHub does not answer, or not now.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
exec .venv/bin/python -m ci.drift_issue
