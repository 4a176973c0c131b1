#!/bin/sh
# All benchmarks: kernels against the machine's limit, models against onnxruntime, the daemon against a
# call in the same process.  bench/run.sh BUILD_DIR    (from the repository root; `make bench`)
set -eu
build=$(CDPATH='' cd -- "$1" && pwd)
work=$build/bench
modules=$work/node_modules
shipped=models/pointnet-modelnet10/pointnet-modelnet10.xnor
mkdir -p "$work"

if [ ! -d "$modules/onnxruntime-node" ]; then
    echo "bench: onnxruntime-node is missing in $modules: run 'make deps-bench'" >&2
    exit 1
fi

# Networks with random weights: speed does not depend on them. Made once. Ours take any number of
# points, the peer's have theirs written in, which is faster.
float_net() { # NET POINTS OPTION...
    net=$1 points=$2
    shift 2
    [ -f "$work/${net}_float_$points.onnx" ] || /usr/bin/python3 -m train random --net "$net" --float \
        --layout conv --batch 1 --points "$points" "$@" -o "$work/${net}_float_$points.onnx"
}
binary_net() { # NET OPTION...
    net=$1
    shift
    [ -f "$work/${net}_binary.onnx" ] ||
        /usr/bin/python3 -m train random --net "$net" "$@" -o "$work/${net}_binary.onnx"
    "$build/xnorctl" compile "$work/${net}_binary.onnx" -o "$work/$net.xnor" >/dev/null
}
scenes="--channels 9 --classes 13"
for points in 1024 4096 65536 262144; do float_net vanilla $points; done
float_net tnets 1024
binary_net tnets
for net in semseg semseg-vanilla; do
    # shellcheck disable=SC2086
    binary_net $net $scenes
    # shellcheck disable=SC2086
    for points in 4096 65536 262144; do float_net $net $points $scenes; done
done
# The peer has no operators for points: it is given the indices, which we find out ourselves.
[ -f "$work/pointnet2_float.onnx" ] || /usr/bin/python3 -m train random --net pointnet2 --float \
    --neighbours inputs --layout conv --points 1024 --batch 1 -o "$work/pointnet2_float.onnx"
[ -f "$work/pointnet2_binary.onnx" ] || /usr/bin/python3 -m train random --net pointnet2 \
    --points 1024 --batch 1 -o "$work/pointnet2_binary.onnx"
"$build/xnorctl" compile "$work/pointnet2_binary.onnx" -o "$work/pointnet2.xnor" >/dev/null
# Of the ways to write neighbours in ONNX the peer runs this one fastest (channels first, inner products).
for net in dgcnn dgcnn4; do
    [ -f "$work/${net}_float.onnx" ] || /usr/bin/python3 -m train random --net $net --float \
        --neighbours gram --gather flat --layout conv --points 1024 --batch 1 -o "$work/${net}_float.onnx"
    [ -f "$work/${net}_binary.onnx" ] || /usr/bin/python3 -m train random --net $net \
        --points 1024 --batch 1 -o "$work/${net}_binary.onnx"
    "$build/xnorctl" compile "$work/${net}_binary.onnx" -o "$work/${net}.xnor" >/dev/null
done
# Networks on pictures of 480 x 640; the peer runs the same architecture in float32.
picture_net() { # NAME OPTION...
    name=$1
    shift
    [ -f "$work/$name.onnx" ] || /usr/bin/python3 -m train random --size 480 640 "$@" -o "$work/$name.onnx"
}
compiled_picture_net() { # NAME OPTION...
    picture_net "$@"
    "$build/xnorctl" compile "$work/$1.onnx" -o "$work/$1.xnor" >/dev/null
}
compiled_picture_net hrnet_w18 --net hrnet --width 18
picture_net hrnet_w18_float --net hrnet --width 18 --float
compiled_picture_net bimtdp_f --net bimtdp --variant f --width 18
compiled_picture_net bimtdp_c --net bimtdp --variant c --width 18
picture_net bimtdp_float --net bimtdp --variant float --width 18
compiled_picture_net bineal_resnet18 --net bineal-classify --multiplier 1
picture_net bineal_resnet18_float --net bineal-classify --float

echo "# $(cc --version | head -1); $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1)"
"$build/tests/kernels/check" --bench

peers() { # lines of NAME MODEL.xnor DIMS MODEL.onnx DIMS
    # shellcheck disable=SC2046
    "$build/bench/models" "$modules" samples/chair_oak.ply $(cat)
}
peers <<EOF
pointnet_vanilla_1024 $shipped 1,1024,3 $work/vanilla_float_1024.onnx 1,3,1024
pointnet_tnets_1024 $work/tnets.xnor 1,1024,3 $work/tnets_float_1024.onnx 1,3,1024
dgcnn_1024 $work/dgcnn.xnor 1,1024,3 $work/dgcnn_float.onnx 1,3,1024
dgcnn4_1024 $work/dgcnn4.xnor 1,1024,3 $work/dgcnn4_float.onnx 1,3,1024
pointnet2_1024 $work/pointnet2.xnor 1,1024,3 $work/pointnet2_float.onnx 1,3,1024;index0=1,512<1024;index1=1,512,64<1024;index2=1,128<512;index3=1,128,64<512
pointnet_vanilla_4096 $shipped 1,4096,3 $work/vanilla_float_4096.onnx 1,3,4096
pointnet_vanilla_65536 $shipped 1,65536,3 $work/vanilla_float_65536.onnx 1,3,65536
pointnet_vanilla_262144 $shipped 1,262144,3 $work/vanilla_float_262144.onnx 1,3,262144
pointnet_semseg_4096 $work/semseg.xnor 1,4096,9 $work/semseg_float_4096.onnx 1,9,4096
pointnet_semseg_65536 $work/semseg.xnor 1,65536,9 $work/semseg_float_65536.onnx 1,9,65536
pointnet_semseg_262144 $work/semseg.xnor 1,262144,9 $work/semseg_float_262144.onnx 1,9,262144
pointnet_semseg_vanilla_4096 $work/semseg-vanilla.xnor 1,4096,9 $work/semseg-vanilla_float_4096.onnx 1,9,4096
pointnet_semseg_vanilla_65536 $work/semseg-vanilla.xnor 1,65536,9 $work/semseg-vanilla_float_65536.onnx 1,9,65536
EOF

picture=1,3,480,640
peers <<EOF
hrnet_w18_480x640 $work/hrnet_w18.xnor $picture $work/hrnet_w18_float.onnx $picture
bimtdp_f_480x640 $work/bimtdp_f.xnor $picture $work/bimtdp_float.onnx $picture
bimtdp_c_480x640 $work/bimtdp_c.xnor $picture $work/bimtdp_float.onnx $picture
bineal_resnet18_480x640 $work/bineal_resnet18.xnor $picture $work/bineal_resnet18_float.onnx $picture
EOF

# From 4,096 to 262,144 points, 64 times as many; then one and two threads.
"$build/bench/scaling" points growth_vanilla $shipped 4096 262144 3 samples/*.ply
for net in semseg-vanilla semseg; do
    "$build/bench/scaling" points "growth_$net" "$work/$net.xnor" 4096 262144 9 samples/chair_oak.ply
done
for net in vanilla tnets semseg; do
    model=$work/$net.xnor channels=3
    [ "$net" != vanilla ] || model=$shipped
    [ "$net" != semseg ] || channels=9
    "$build/bench/scaling" threads "threads2_batch32_$net" "$model" "32,1024,$channels" samples/*.ply
    "$build/bench/scaling" threads "threads2_cloud16384_$net" "$model" "1,16384,$channels" samples/*.ply
done

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
