#!/bin/sh
# Tests of train/: its unit tests, a random network of every kind through xnorctl, and with XNORD_DATA set the shipped
# models against PyTorch on every validation item, in this process and through the daemon.  tests/train.sh BUILD_DIR
set -u
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
cd "$root" || exit 1
build=$1
passed=0
failed=0
OMP_NUM_THREADS=1
OPENBLAS_NUM_THREADS=1
export OMP_NUM_THREADS OPENBLAS_NUM_THREADS

out=$(mktemp)
trap 'rm -f "$out"' EXIT
/usr/bin/python3 -m unittest discover -s train/tests -t . >"$out" 2>&1
code=$?
cat "$out"
ran=$(sed -n 's/^Ran \([0-9]*\) tests.*/\1/p' "$out")
bad=$(sed -n 's/^FAILED (\(.*\))$/\1/p' "$out" | grep -oE '[0-9]+' | head -1)
[ "$code" -eq 0 ] || [ -n "$bad" ] || bad=1
failed=$((failed + ${bad:-0}))
passed=$((passed + ${ran:-0} - ${bad:-0}))

tests/networks.sh "$build" --few >"$out" 2>&1
cat "$out"
counts=$(sed -n 's/^\([0-9]*\) passed, \([0-9]*\) failed$/\1 \2/p' "$out")
[ -n "$counts" ] || counts="0 1"
passed=$((passed + ${counts% *}))
failed=$((failed + ${counts#* }))

if [ -z "${XNORD_DATA:-}" ]; then
    echo "SKIP models against PyTorch: XNORD_DATA is not set"
else
    for weights in models/*/weights.npz; do
        /usr/bin/python3 -m train compare "$weights" --build "$build"
        case $? in
            0) passed=$((passed + 1)) ;;
            77) ;; # its data has to be made first: it says so
            *) failed=$((failed + 1)) ;;
        esac
    done
fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
