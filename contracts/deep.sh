#!/bin/sh
# The deep proof of contracts/, for once in a while: it takes about half an hour. Needs forge, node,
# slither and halmos on PATH: `./run contracts --deep` sees to that. One stage, or several, by name:
#   contracts/deep.sh slither halmos
set -eu
cd "$(dirname "$0")"

# Everything that `forge test` runs, with many more cases.
run_forge() {
    FOUNDRY_PROFILE=deep sh check.sh
}

# A copy with its libraries inside: slither and `forge coverage` resolve the imports within a
# library only there. Also without the proofs, which are for halmos.
copy_into() {
    rm -rf "out/$1"
    mkdir -p "out/$1/node_modules"
    cp -r src test artifacts gas-budget.toml vectors.json solc-wrap solc-native.mjs "out/$1"
    cp -r ../node_modules/@openzeppelin ../node_modules/@uniswap "out/$1/node_modules"
    sed 's#\.\./node_modules#node_modules#g' foundry.toml >"out/$1/foundry.toml"
    rm -r "out/$1/test/symbolic"
    sed -i 's#\.\./node_modules#node_modules#g' "out/$1"/test/support/*.sol
}

# What reads the sources. A finding that is no fault is marked in the sources, with its reason.
run_slither() {
    copy_into slither
    (
        cd out/slither
        FOUNDRY_PROFILE=audit slither . --foundry-out-directory out/audit --fail-medium \
            --exclude-dependencies --exclude-low --exclude-informational --exclude-optimization
    )
}

# Proofs for all values at once (test/symbolic). halmos calls forge itself, which must then compile
# only these tests.
run_halmos() {
    FOUNDRY_PROFILE=audit FOUNDRY_TEST=test/symbolic FOUNDRY_OUT=out/symbolic \
        FOUNDRY_CACHE_PATH=cache/symbolic \
        halmos --forge-build-out out/symbolic --match-contract Proofs --no-status \
        --solver-timeout-assertion 120s
}

# Without the tests that measure gas or compare code: code that counts its own lines is another.
run_coverage() {
    copy_into coverage
    (
        cd out/coverage
        FOUNDRY_PROFILE=audit FOUNDRY_FUZZ_RUNS=64 FOUNDRY_INVARIANT_RUNS=8 forge coverage \
            --ir-minimum --report lcov --report-file ../coverage.info \
            --no-match-contract 'Gas|Artifacts'
    )
    python3 coverage.py out/coverage.info
}

for stage in "${@:-forge slither halmos coverage}"; do
    for name in $stage; do
        echo "== $name"
        "run_$name"
    done
done
