#!/bin/sh
# Simulates the compiled NEON gemm_thr hot loops with llvm-mca: cycles per round and bit-MAC per cycle.
# A model, not a measurement: good for ranking variants (see kernels.md).
#
#   neon_mca.sh              LLVM_MCA (llvm-mca-19), CPUS ("cortex-a72 neoverse-n1") override
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
mca=${LLVM_MCA:-llvm-mca-19}
iterations=1000
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$root/tests/kernels/neon_count.sh" --bodies |
    awk -v dir="$work" '
        /^# / { file = dir "/" $2 "." $3 ".s"; next }
        # The branch back: any label will do.
        /^b\.ne/ { print "loop:\n\tb.ne loop" > file; next }
        { print > file }'

for cpu in ${CPUS:-cortex-a72 neoverse-n1}; do
    for file in "$work"/*.s; do
        name=$(basename "$file" .s)
        units=${name##*.}
        name=${name%.*}
        cycles=$($mca -mtriple=aarch64 -mcpu="$cpu" -mattr=+dotprod -iterations=$iterations "$file" |
            awk '/^Total Cycles:/ { print $3 }')
        awk -v cpu="$cpu" -v name="$name" -v units="$units" -v c="$cycles" -v n=$iterations 'BEGIN {
            printf "%-12s %-36s %6.1f cycles per round, %5.1f bit-MAC per cycle\n", cpu, name, c / n,
                   units * 128 / (c / n)
        }'
    done
done
