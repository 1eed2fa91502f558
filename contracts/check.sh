#!/bin/sh
# Checks all of contracts/: the committed artifacts are what the sources compile to, every forge
# test passes, and a payment stays within gas-budget.toml. Words are passed on to `forge test`:
#   contracts/check.sh --match-contract FeeTest
set -eu
cd "$(dirname "$0")"

packages=../node_modules
forge="$packages/@foundry-rs/forge-linux-amd64/bin/forge"
if [ ! -x "$forge" ] || [ ! -d "$packages/solc" ]; then
    echo "contracts: forge or solc is missing: run \`npm ci --ignore-scripts\` first" >&2
    exit 1
fi

"$forge" fmt --check
node compile.mjs --check
exec "$forge" test "$@"
