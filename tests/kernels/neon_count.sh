#!/bin/sh
# Counts the instructions of the NEON gemm_thr hot loops per 4096 bit-MAC, loads and loop overhead
# included, from the compiled code. Fails above LIMIT (112).
#
#   neon_count.sh            compiles with aarch64-linux-gnu-gcc (CC, CFLAGS override)
#   neon_count.sh --bodies   prints the loops themselves instead, "# NAME COUNT" before each
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
cc=${CC:-aarch64-linux-gnu-gcc}
objdump=${OBJDUMP:-aarch64-linux-gnu-objdump}
limit=${LIMIT:-112}
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
    awk -v bodies="${1:-}" -v limit="$limit" '
        function finish() {
            if (!best) return
            if (bodies == "--bodies") printf "# %s %d\n%s", name, best, body
            else printf "%-36s %4d instructions, %3d x 128 bit-MAC: %6.1f per 4096\n", name, length_,
                        best, length_ * 32 / best
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
