#!/bin/sh
# Counts the instructions of the NEON gemm_thr hot loops per 4096 bit-MAC, loads and loop overhead
# included, from the compiled code. Fails above LIMIT (112), for tiles of fewer channels NARROW_LIMIT (117).
#
#   neon_count.sh            compiles with aarch64-linux-gnu-gcc (CC, CFLAGS override)
#   neon_count.sh --bodies   prints the loops themselves instead, "# NAME COUNT" before each
#   neon_count.sh --conv CHECK
#                            counts what qemu executes for a row of a 3 x 3 convolution instead, patches
#                            and all; CHECK: tests/kernels/check built for aarch64. Fails if 64 channels
#                            take more than CONV_LIMIT (120).
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
cc=${CC:-aarch64-linux-gnu-gcc}
objdump=${OBJDUMP:-aarch64-linux-gnu-objdump}
limit=${LIMIT:-112}
narrow_limit=${NARROW_LIMIT:-117}

# Instructions of CHECK --isa $1 --only $2 --run $3.
executed() {
    qemu-aarch64 -L /usr/aarch64-linux-gnu -singlestep -d exec,nochain -D /dev/fd/3 \
        "$check" --isa "$1" --only "$2" --run "$3" 3>&1 >/dev/null | grep -c '^Trace'
}

if [ "${1:-}" = --conv ]; then
    check=$2
    for set in neon neon_dotprod; do
        for channels in 64 18 36 72; do
            kernel=inner3x3_${channels}_1x158
            once=$(executed $set "$kernel" 1)
            twice=$(executed $set "$kernel" 2)
            awk -v set="$set" -v c="$channels" -v n="$((twice - once))" -v limit="${CONV_LIMIT:-120}" '
                BEGIN {
                    units = 158 * 9 * c * c / 4096
                    printf "%-13s 3x3, %2d channels: %7d instructions, %6.1f per 4096\n", set, c, n, n / units
                    exit c == 64 && n / units > limit
                }'
        done
    done
    exit 0
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

for set in neon neon_dotprod; do
    flags="-std=c11 -O2 -ffp-contract=off -I$root/lib ${CFLAGS:-}"
    [ $set = neon ] || flags="$flags -march=armv8.2-a+dotprod"
    # shellcheck disable=SC2086
    $cc $flags -c "$root/lib/kernels/$set.c" -o "$work/$set.o"
    $objdump -d --no-show-raw-insn "$work/$set.o"
done |
    # A loop is what lies between a branch and its target before it. The hot one of a function is the
    # innermost with the most popcounts; a popcount of 16 bytes is 128 bit-MAC.
    awk -v bodies="${1:-}" -v wide="$limit" -v narrow="$narrow_limit" '
        function finish() {
            if (!best) return
            if (bodies == "--bodies") printf "# %s %d\n%s", name, best, body
            else printf "%-36s %4d instructions, %3d x 128 bit-MAC: %6.1f per 4096\n", name, length_,
                        best, length_ * 32 / best
            limit = name ~ /x[23]__/ ? narrow : wide
            if (length_ * 32 / best > limit) bad = 1
            found++
            best = 0
        }
        /^[0-9a-f]+ <.*>:$/ {
            finish()
            name = substr($2, 2, length($2) - 3)
            split("", text); split("", at); lines = 0
            wanted = name ~ /^xnor_gemm_thr_/
            next
        }
        wanted && /^ *[0-9a-f]+:/ {
            address = $1; sub(":", "", address)
            instruction = $0; sub(/^ *[0-9a-f]+:[ \t]*/, "", instruction)
            sub(/[ \t]*\/\/.*/, "", instruction)
            at[address] = ++lines; text[lines] = instruction
            if (instruction !~ /^(b\.|cbn?z|tbn?z)/) next
            target = instruction; sub(/ <.*/, "", target); sub(/.*[ \t]/, "", target)
            if (!(target in at)) next
            count = 0; candidate = ""; inner = 1
            for (i = at[target]; i <= lines; i++) {
                if (text[i] ~ /^cnt/) count++
                if (i < lines && text[i] ~ /^b\./) inner = 0
                candidate = candidate text[i] "\n"
            }
            if (inner && count > best) {
                best = count; length_ = lines - at[target] + 1; body = candidate
            }
        }
        END { finish(); exit bad || !found }'
