#!/bin/sh
# Trains, registers, waits for the decision and promotes: with exit codes and --json, nothing else.
#
#   sh pipeline.sh MODEL FIRST_DAY LAST_DAY
#
# Needs MLREG_URL and a token of role `ci` (MLREG_TOKEN, or `mlreg login --oidc` before). Ends with
#   0  the new version serves        1  refused: gate, approval, conflict, frozen
#   7  inconclusive: the champion stays, which is no failure of the pipeline's
#   others as every command of mlreg: 2 usage, 3 not found, 4 not allowed, 5 unreachable, 8 integrity
set -eu
model=$1 first=$2 last=$3

field() {  # field NAME FILE: one field of a JSON document (a pipe would hide the exit code)
    python3 -c 'import json, sys; print(json.load(open(sys.argv[2]))[sys.argv[1]])' "$1" "$2"
}

mlreg snapshot create "$model" --start "$first" --end "$last" --json > snapshot.json
snapshot=$(field digest snapshot.json)
mlreg snapshot export "$snapshot" rows.parquet

seed=7
python3 train.py --seed "$seed"                 # writes model.txt, contract.json, params.json
mlreg version register "$model" model.txt --contract contract.json --data "$snapshot" \
    --params params.json --seed "$seed" --trainer train.py --lane full \
    --tag "pipeline=${CI_PIPELINE_ID:-by-hand}" --json > version.json
version=$(field number version.json)
echo "registered $model/$version"

# Waits for the judgement on the newest matured rows; exits 1 rejected, 7 inconclusive.
mlreg evaluate "$model" "$version" --wait

# The decision counts against the champion it was made against: a change in between refuses this.
mlreg promote "$model" "$version" --reason "pipeline ${CI_PIPELINE_ID:-by hand}"
