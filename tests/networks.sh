#!/bin/sh
# Random networks of every kind, binarizer, pool and export form, compiled and run by xnorctl, against PyTorch in double:
# equal labels, log-probabilities to 1e-4. The golden pairs of every compiled network are also run under qemu with the NEON
# kernels, without and with dot product. One line per case; hours of cases, or with --few some minutes.
#   tests/networks.sh BUILD_DIR [--few] [--net NAME]... [--binarizer NAME]...
set -u
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
cd "$root" || exit 1
build=$1
shift
OMP_NUM_THREADS=1
OPENBLAS_NUM_THREADS=1
export OMP_NUM_THREADS OPENBLAS_NUM_THREADS
for cpu in cortex-a72 neoverse-n1; do
    set -- "$@" --emulator "qemu-aarch64 -cpu $cpu $build/aarch64/tests/models"
done
exec /usr/bin/python3 -m train prove --build "$build" "$@"
