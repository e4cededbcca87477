#!/bin/sh
# make demo: the sample logs, from lines to answers. Shows each command, then what it prints.
set -eu
build=${1:?usage: sh sample_logs/demo.sh BUILD_DIR}
cd "$(dirname "$0")/.."

rm -rf "$build"
mkdir -p "$build"
EVLOG_DATA=$build/evlog-data
EVLOG_PLAN=sample_logs/plan.toml
EVLOG_AS_OF=2026-03-31
export EVLOG_DATA EVLOG_PLAN EVLOG_AS_OF

# Runs a command line as it is shown; the exit code that the demo expects comes first.
show() {
  want=$1
  shift
  printf '\n$ %s\n' "$*"
  code=0
  eval "$*" || code=$?
  if [ "$code" -ne "$want" ]; then
    printf 'demo: that was meant to exit %s, not %s\n' "$want" "$code" >&2
    exit 1
  fi
}

say() {
  printf '\n# %s\n' "$*"
}

say 'Ninety days of a workbook product. Some lines are bad, by design: ingest keeps them apart and exits 3.'
show 3 'evlog ingest sample_logs/logs/*'
say 'What was refused, and why.'
show 0 'evlog rejects list'
say 'The same logs again: nothing changes, and it says so.'
show 3 'evlog ingest sample_logs/logs/*'
say 'Closed days become Parquet.'
show 0 'evlog compact'
say 'Who was there?'
show 0 'evlog report dau --days 14'
say 'How far do they get?'
show 0 'evlog funnel page_view exercise_start exercise_complete --window 7d'
say 'Which exercise loses them?'
show 0 'evlog dropoff --target-type exercise'
say 'The whole on one screen.'
show 0 'evlog overview'
