#!/usr/bin/env bash
# Make the bundled weights again: four runs, one from the other, each with the code of its time.
#
#   training/again.sh FOLDER [OPTION...]
#
# Four hours on two cores. FOLDER gets the code, the scenes and the runs; after a cut the same command goes on.
# Options go to every run; a try of all of it:
#   training/again.sh FOLDER --scenes 64 --dense-steps 2 --where-steps 2 --prompt-steps 2 --objects 2
# NAPARI_SAMV1 may name another environment's command than .venv's.
set -euo pipefail

folder=$(realpath -m "${1:?a folder for the runs}")
shift
options=("$@")
cd "$(dirname "$0")/.."
command=${NAPARI_SAMV1:-.venv/bin/napari-samv1}

run() { # weights commit option...
    local weights=$folder/$1 code=$folder/code-$2
    [ ! -f "$weights" ] || return 0
    mkdir -p "$code"
    git archive "$2" src | tar -x -C "$code"
    PYTHONPATH=$code/src "$command" train --work "$folder" --device cpu "${@:3}" "${options[@]}"
}

run run-0/tiny.pt 5bf653c --seed 0
run run-1/trained.pt 23fefa6 --seed 1 --init "$folder/run-0/tiny.pt"
run run-2/trained.pt b039d4a --seed 2 --init "$folder/run-1/trained.pt" --prompt-steps 2400 --keep 0
run run-3/trained.pt 806982c --seed 3 --init "$folder/run-2/trained.pt" --prompt-steps 3600
sha256sum "$folder"/run-?/t*.pt src/napari_samv1/checkpoints/bundled/tiny.pt
