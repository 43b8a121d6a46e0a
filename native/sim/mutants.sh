#!/usr/bin/env bash
# Proves that the simulator finds what it is for: puts each defect of mutations/*.patch into a copy of the sources,
# one at a time, builds the simulator there and runs seeds until it fails. The script itself fails when a patch
# does not apply any more or when a defect is not found within its seeds.
#
#   native/sim/mutants.sh [NAME...]      some of them by name; SEEDS=500 STEPS=20000 are the bounds
set -euo pipefail
native=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
seeds=${SEEDS:-500} steps=${STEPS:-20000}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

names=("$@")
if [ "${#names[@]}" -eq 0 ]; then
  for patch in "$native"/sim/mutations/*.patch; do names+=("$(basename "$patch" .patch)"); done
fi

found=0 missed=0
for name in "${names[@]}"; do
  # The same place each time: what no patch touches is then not compiled again. What one touches has to be,
  # also when this time it is as it should be.
  mkdir -p "$scratch/tree"
  rm -rf "$scratch/tree/native"
  cp -rp "$native" "$scratch/tree/native"
  ln -sfn "$native/../node_modules" "$scratch/tree/node_modules"
  sed -nE 's|^\+\+\+ b/||p' "$native"/sim/mutations/*.patch | while read -r file; do
    touch "$scratch/tree/$file"
  done
  if ! patch -d "$scratch/tree" -p1 --forward --fuzz=0 <"$native/sim/mutations/$name.patch" >"$scratch/log" 2>&1; then
    cat "$scratch/log"
    echo "mutant $name: its patch does not apply any more"
    missed=$((missed + 1))
    continue
  fi
  if ! { cmake -S "$scratch/tree/native" -B "$scratch/build" -DCMAKE_BUILD_TYPE=Release &&
    cmake --build "$scratch/build" --parallel "$(nproc)" --target millrace-sim; } >"$scratch/log" 2>&1; then
    tail -n 40 "$scratch/log"
    echo "mutant $name: does not build"
    missed=$((missed + 1))
    continue
  fi
  started=$SECONDS
  if "$scratch/build/millrace-sim" --seeds "$seeds" --steps "$steps" >"$scratch/log" 2>&1; then
    echo "mutant $name: NOT found in $seeds seeds of $steps steps"
    missed=$((missed + 1))
  elif grep -q '^sim: FAILED' "$scratch/log"; then
    echo "mutant $name: found after $((SECONDS - started)) s: $(sed -nE 's/^sim: (seed [0-9]+, step [0-9]+).*/\1/p' "$scratch/log"): $(sed -nE 's/^sim: FAILED: //p' "$scratch/log")"
    found=$((found + 1))
  else
    tail -n 20 "$scratch/log"
    echo "mutant $name: ended in another way"
    missed=$((missed + 1))
  fi
done
echo "$found mutants found, $missed not"
[ "$missed" -eq 0 ]
