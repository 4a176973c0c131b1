#!/bin/sh
# All benchmarks: kernels against the machine's limit, models against onnxruntime, the daemon against a
# call in the same process.  bench/run.sh BUILD_DIR    (from the repository root; `make bench`)
set -eu
build=$1
work=$build/bench
modules=$work/node_modules
shipped=models/pointnet-modelnet10/pointnet-modelnet10.xnor
mkdir -p "$work"

if [ ! -d "$modules/onnxruntime-node" ]; then
    echo "bench: onnxruntime-node is missing in $modules: run 'make deps-bench'" >&2
    exit 1
fi

# Networks with random weights: speed does not depend on them. Made once.
for net in vanilla tnets; do
    [ -f "$work/${net}_float.onnx" ] || /usr/bin/python3 -m train random --net $net --float \
        --layout conv --points 1024 -o "$work/${net}_float.onnx"
    [ -f "$work/${net}_binary.onnx" ] || /usr/bin/python3 -m train random --net $net \
        --points 1024 -o "$work/${net}_binary.onnx"
done
"$build/xnorctl" compile "$work/tnets_binary.onnx" -o "$work/tnets.xnor" >/dev/null
# The peer has no operators for points: it is given the indices, which we find out ourselves.
[ -f "$work/pointnet2_float.onnx" ] || /usr/bin/python3 -m train random --net pointnet2 --float \
    --neighbours inputs --layout conv --points 1024 --batch 1 -o "$work/pointnet2_float.onnx"
[ -f "$work/pointnet2_binary.onnx" ] || /usr/bin/python3 -m train random --net pointnet2 \
    --points 1024 --batch 1 -o "$work/pointnet2_binary.onnx"
"$build/xnorctl" compile "$work/pointnet2_binary.onnx" -o "$work/pointnet2.xnor" >/dev/null

echo "# $(cc --version | head -1); $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1)"
"$build/tests/kernels/check" --bench
"$build/bench/models" "$modules" samples/chair_oak.ply \
    pointnet_vanilla_1024 "$shipped" 1,1024,3 "$work/vanilla_float.onnx" 1,3,1024 \
    pointnet_tnets_1024 "$work/tnets.xnor" 1,1024,3 "$work/tnets_float.onnx" 1,3,1024 \
    pointnet2_1024 "$work/pointnet2.xnor" 1,1024,3 "$work/pointnet2_float.onnx" \
    "1,3,1024;index0=1,512<1024;index1=1,512,64<1024;index2=1,128<512;index3=1,128,64<512"

run=$(mktemp -d)
daemon=
trap '[ -z "$daemon" ] || kill "$daemon" 2>/dev/null || true; [ -z "$daemon" ] || wait "$daemon" || true; rm -rf "$run"' EXIT
"$build/xnord" --socket "ipc://$run/infer.sock" --models models >"$run/log" 2>&1 &
daemon=$!
tries=0
until "$build/xnorctl" status --socket "ipc://$run/infer.sock" >/dev/null 2>&1; do
    tries=$((tries + 1))
    [ "$tries" -lt 100 ] || { cat "$run/log" >&2; exit 1; }
    sleep 0.1
done
"$build/bench/daemon" "ipc://$run/infer.sock" "$shipped" pointnet-modelnet10
