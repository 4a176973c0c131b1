#!/bin/sh
# Runs test suites and adds up their counts: tests/check.sh BUILD_DIR SUITE...
# The last line is "N passed, N failed". Suites are the functions suite_* below.
set -u
build=$1
shift
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
cd "$root" || exit 1
case $build in /*) ;; *) build=$root/$build ;; esac
out=$(mktemp)
trap 'rm -f "$out"' EXIT
passed=0
failed=0
XNORD_BIN=$build/xnord
XNORD_TEST_MODELS=$root/models
XNORD_TEST_SEGMENT=$build/tests/e2e
LSAN_OPTIONS=suppressions=$root/tests/lsan.supp:print_suppressions=0
export XNORD_BIN XNORD_TEST_MODELS XNORD_TEST_SEGMENT LSAN_OPTIONS

# count NAME COMMAND...: runs it and takes the counts from its output; a program that fails without
# counting, or counts nothing, is one failure.
count() {
    name=$1
    shift
    start=$(date +%s)
    "$@" >"$out" 2>&1 </dev/null
    code=$?
    # Ours: "N passed, N failed"; Criterion: "Synthesis: Tested: N | Passing: N | Failing: N | Crashing: N"
    counts=$(sed 's/\x1b\[[0-9;]*m//g' "$out" | awk '
        /^[0-9]+ passed, [0-9]+ failed/ { p += $1; f += $3; n++ }
        /Synthesis:/ { gsub(/[^0-9|]/, ""); split($0, c, "|"); p += c[2]; f += c[3] + c[4]; n++ }
        END { if (n) print p + 0, f + 0 }')
    p=${counts% *} f=${counts#* }
    if [ -z "$counts" ]; then
        if [ "$code" -eq 0 ]; then p=1 f=0; else p=0 f=1; fi
    elif [ "$code" -ne 0 ] && [ "$f" -eq 0 ]; then
        f=1
    fi
    passed=$((passed + p))
    failed=$((failed + f))
    echo "$name: $p passed, $f failed, $(($(date +%s) - start)) s"
    [ "$f" -eq 0 ] || tail -n 60 "$out" | sed 's/^/    /'
    grep -h '^SKIP' "$out" | sed 's/^/    /'
}

qemu() { # CPU PROGRAM...
    cpu=$1
    shift
    timeout -s KILL 900 qemu-aarch64 -cpu "$cpu" "$@"
}

suite_unit() { count unit timeout -s KILL 600 "$build/tests/unit/all" --jobs 2; }
suite_kernels() { count kernels timeout -s KILL 600 "$build/tests/kernels/check"; }
suite_neon() {
    arm=$build/aarch64/tests/kernels/check
    count "neon (cortex-a72)" qemu cortex-a72 "$arm"
    count "neon (neoverse-n1, dot product)" qemu neoverse-n1 "$arm"
    [ ! -x tests/kernels/neon_count.sh ] ||
        count "neon instruction count" tests/kernels/neon_count.sh
    count "neon models" qemu neoverse-n1 "$build/aarch64/tests/models" models/*/*.xnor
}
suite_daemon() { count daemon timeout -s KILL 600 "$build/tests/e2e/daemon_test"; }
suite_cli() { count cli tests/e2e/cli_test.sh "$build"; }
suite_onnx() { count onnx timeout -s KILL 300 "$build/tests/onnx/conformance" /usr/share/libonnx-testdata; }
suite_demo() { count demo tests/e2e/demo.sh "$build"; }
suite_systemd() { count systemd tests/e2e/systemd_score.sh; }
suite_install() { count install tests/install_test.sh "$build"; }
suite_models() {
    for isa in $("$build/tests/models" --isas); do
        count "models ($isa)" env XNOR_ISA="$isa" "$build/tests/models" models/*/*.xnor
    done
}
suite_fuzz() {
    for target in "$build"/fuzz/fuzz_*; do
        name=${target##*/}
        corpus=tests/fuzz/corpus_${name#fuzz_}
        found=$build/fuzz/found_${name#fuzz_}
        mkdir -p "$found"
        set -- "$target" -max_total_time="${FUZZ_SECONDS:-20}" -timeout=10 -rss_limit_mb=2048 -print_final_stats=0
        [ ! -f "tests/fuzz/${name#fuzz_}.dict" ] || set -- "$@" -dict="tests/fuzz/${name#fuzz_}.dict"
        set -- "$@" -artifact_prefix="$found/" "$found"
        [ ! -d "$corpus" ] || set -- "$@" "$corpus"
        count "$name" "$@"
    done
}

for suite in "$@"; do "suite_$suite"; done
echo
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
