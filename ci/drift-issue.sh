#!/usr/bin/env bash
# Opens, brings up to date or closes the one issue that tells of drift, after ci/drift.sh.
#
# Variables: REPORT (as ci/drift.sh had it), GITHUB_REPOSITORY (owner/name), GITHUB_TOKEN (issues: write); RUN_URL, named
#   when the issue is closed; GITHUB_API_URL and REPORT_AUTHOR as in ci/comment.sh.
# Exit: 0 done; 1 refused; 2 a variable is missing, or the drift run itself failed; 3 GitHub does not answer, or not now.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
exec .venv/bin/python -m ci.drift_issue
