#!/bin/sh
# The command line of xnorctl: usage, exit codes, JSON. Usage: tests/e2e/cli_test.sh BUILD_DIR
# The second part needs $BUILD_DIR/xnord and a compiled model; it is skipped, and says so, without.
set -eu
# shellcheck source=tests/e2e/cli_daemon.sh
. "$(dirname -- "$0")/cli_daemon.sh"
daemon_prepare "${1:-build}"
failures=0
checks=0

# check EXIT_CODE WHAT COMMAND...: runs it into $work/out and $work/err.
check() {
    want=$1 what=$2
    shift 2
    checks=$((checks + 1))
    got=0
    "$@" > "$work/out" 2> "$work/err" < /dev/null || got=$?
    [ "$got" -eq "$want" ] || fail "$what: expected exit code $want, found $got"
}

fail() {
    failures=$((failures + 1))
    echo "FAIL $*" >&2
    sed 's/^/     err: /' "$work/err" >&2
}

out_has() { grep -qF -- "$1" "$work/out" || fail "expected '$1' on stdout"; }
err_has() { grep -qF -- "$1" "$work/err" || fail "expected '$1' on stderr"; }
out_empty() { [ ! -s "$work/out" ] || fail "expected nothing on stdout"; }
err_empty() { [ ! -s "$work/err" ] || fail "expected nothing on stderr"; }
out_json() {
    [ "$(wc -l < "$work/out")" -eq "$1" ] || fail "expected $1 JSON objects, one per line"
    python3 -m json.tool --json-lines "$work/out" > /dev/null 2> "$work/err" || fail "invalid JSON"
}

# ---- usage ----------------------------------------------------------------------------------------

check 2 "no command" "$xnorctl"; out_empty; err_has "Usage: xnorctl"
check 0 "--help" "$xnorctl" --help; out_has "Usage: xnorctl"; err_empty
check 0 "--version" "$xnorctl" --version; out_has "xnorctl "
check 2 "unknown command" "$xnorctl" frobnicate; out_empty; err_has "frobnicate"
for command in compile inspect run infer status models sample; do
    check 0 "$command --help" "$xnorctl" $command --help
    out_has "Usage: xnorctl $command"
    err_empty
    check 2 "$command --nonsense" "$xnorctl" $command --nonsense
    out_empty
done
check 2 "infer without a model" "$xnorctl" infer; err_has "expected a model"
check 2 "infer without a file" "$xnorctl" infer some-model
check 2 "--top-k 0" "$xnorctl" infer m f --top-k 0; err_has "from 1 to 64"
check 2 "--top-k 1x" "$xnorctl" infer m f --top-k 1x
check 2 "--top-k without a value" "$xnorctl" infer m f --top-k; err_has "expected a value"
check 2 "--up x" "$xnorctl" infer m f --up x; err_has "z|y"
check 2 "--deadline-ms -5" "$xnorctl" infer m f --deadline-ms -5
check 2 "status with an operand" "$xnorctl" status now
check 2 "models with two operands" "$xnorctl" models a b
check 2 "sample without --output" "$xnorctl" sample a.off

# ---- sample ---------------------------------------------------------------------------------------

printf 'OFF4 2 0\n0 0 0\n1 0 0\n1 1 0\n0 1 0\n3 0 1 2\n3 0 2 3\n' > "$work/square.off"
for suffix in ply pcd npy xyz; do
    check 0 "sample to .$suffix" "$xnorctl" sample "$work/square.off" -o "$work/s.$suffix" --points 50
    out_empty
    err_empty
    [ -s "$work/s.$suffix" ] || fail "expected a file s.$suffix"
done
check 0 "sample again" "$xnorctl" sample "$work/square.off" -o "$work/again.ply" --points 50
cmp -s "$work/s.ply" "$work/again.ply" || fail "expected the same bytes for the same seed"
check 0 "another seed" "$xnorctl" sample "$work/square.off" -o "$work/other.ply" --points 50 --seed 1
! cmp -s "$work/s.ply" "$work/other.ply" || fail "expected other bytes for another seed"
check 1 "sample of points" "$xnorctl" sample "$work/s.ply" -o "$work/t.ply"; err_has "faces"
check 1 "sample to .glb" "$xnorctl" sample "$work/square.off" -o "$work/s.glb"; err_has ".ply, .pcd"
check 1 "sample of nothing" "$xnorctl" sample "$work/none.off" -o "$work/s.ply"; err_has "none.off"
head -c 40 "$work/square.off" > "$work/cut.off"
check 1 "sample of a damaged mesh" "$xnorctl" sample "$work/cut.off" -o "$work/t.ply"
err_has "cut.off: line "
[ "$(wc -l < "$work/err")" -eq 1 ] || fail "expected one line about a damaged file"
if [ -w /dev/full ]; then
    got=0
    "$xnorctl" --help > /dev/full 2> "$work/err" || got=$?
    [ "$got" -eq 1 ] || fail "full disk: expected exit code 1, found $got"
fi

# ---- no daemon ------------------------------------------------------------------------------------

for command in "status" "models" "models m" "infer m $work/s.ply"; do
    # shellcheck disable=SC2086
    check 3 "$command without a daemon" "$xnorctl" $command --json --socket "$socket"
    out_empty
    err_has "cannot reach the daemon"
done

# ---- with a daemon --------------------------------------------------------------------------------

finish() {
    echo "cli_test: $checks commands, $failures failures"
    [ "$failures" -eq 0 ]
    exit
}

model=pointnet-modelnet10
if [ ! -x "$build/xnord" ] || [ ! -f "$root/models/$model/$model.xnor" ]; then
    echo "cli_test: skipped the part with a daemon: no xnord or no $model.xnor"
    finish
fi
daemon_start

ctl() { # COMMAND ARGUMENTS...
    command=$1
    shift
    "$xnorctl" "$command" "$@" --socket "$socket"
}

check 0 "status" ctl status; out_has "$model"; err_empty
check 0 "status --json" ctl status --json; out_json 1; out_has '"ready": true'
check 0 "models" ctl models; out_has "READY"
check 0 "models --json" ctl models --json; out_json "$(ls "$root"/models/*/*.xnor | wc -l)"
check 0 "models $model" ctl models $model; out_has "night_stand"
check 0 "models $model --json" ctl models $model --json; out_json 1; out_has '"task": "classification"'
check 1 "models of another name" ctl models no-such-model; out_empty; err_has "no-such-model"

chair=$root/samples/chair_oak.ply
check 0 "infer" ctl infer $model "$chair"; out_has "chair_oak.ply"; out_has "CONFIDENCE"; err_empty
check 0 "infer --json --top-k" ctl infer $model "$chair" --json --top-k 3; out_json 1
[ "$(grep -o '"confidence"' "$work/out" | wc -l)" -eq 3 ] || fail "expected three labels"
check 0 "infer of a folder" ctl infer $model "$root/samples" --json
out_json "$(ls "$root"/samples/*.ply | wc -l)"
check 0 "infer of a mesh" ctl infer $model "$work/square.off" --json --sample-points 100
out_has '"sampled_from_mesh": true'
out_has '"points": 100'
check 1 "infer of a model of another name" ctl infer no-such-model "$chair"; err_has "no-such-model"

# Names that need escapes, and a file that fails among others.
mkdir "$work/odd"
cp "$chair" "$work/odd/a \"quote\" \\ and
newline.ply"
cp "$chair" "$work/odd/$(printf 'latin1-\344.ply')"
cp "$chair" "$work/odd/ümlaut.ply"
echo damaged > "$work/odd/damaged.ply"
check 1 "infer of odd names" ctl infer $model "$work/odd" --json; out_json 4
check 1 "infer of odd names" ctl infer $model "$work/odd"; err_has "damaged.ply: line 1"
[ "$(wc -l < "$work/out")" -eq 4 ] || fail "expected a title and three rows"
check 1 "infer of a missing file" ctl infer $model "$work/none.ply" "$chair"
out_has "chair_oak.ply"
err_has "none.ply"
mkdir "$work/empty"
check 1 "infer of an empty folder" ctl infer $model "$work/empty"; err_has "readable files"

check 2 "--out with equal names" ctl infer $model a/x.ply b/x.ply --out "$work/o"; err_has "x.ply"
check 0 "infer --out" ctl infer $model "$chair" --out "$work/labels"
python3 -m json.tool "$work/labels/chair_oak.ply.json" > /dev/null || fail "invalid JSON in --out"
check 0 "status counts" ctl status --json; out_has '"statuses": {"OK": '

# ---- segmentation ---------------------------------------------------------------------------------

# The vertices of a PLY made by xnorctl as text: x y z red green blue label.
vertices() {
    python3 -c '
import struct, sys
data = open(sys.argv[1], "rb").read()
header, body = data.split(b"end_header\n", 1)
count = int(header.split(b"element vertex ")[1].split()[0])
assert len(body) == 16 * count, (len(body), count)
for record in struct.iter_unpack("<3f4B", body): print("%.9g %.9g %.9g %d %d %d %d" % record)' "$1"
}

daemon_stop
segment=$build/tests/e2e/segment.xnor
if [ -f "$segment" ]; then
    models=$work/models
    mkdir "$models"
    cp "$segment" "$models/segment.xnor"
    daemon_start
    check 0 "inspect of a segmentation" "$xnorctl" inspect "$segment"
    out_has "segmentation of clouds, 128 points, blocks of 3 m"
    check 0 "inspect --json" "$xnorctl" inspect "$segment" --json --points 128; out_json 1
    out_has '"task": "segmentation"'
    check 0 "models segment" ctl models segment; out_has "in blocks of 3 x 3 m, 128 points a run"
    # 90,000 points go in two parts.
    awk 'BEGIN { for (i = 0; i < 90000; i++) print (i * 37 % 3001) / 50, i % 97 / 2 - 20, i % 13 / 7 }' \
        > "$work/scene.xyz"
    check 0 "infer of a scene" ctl infer segment "$work/scene.xyz" --out "$work/scene"
    out_has "scene.xyz"; out_has "ground"; out_has "SHARE"; err_empty
    vertices "$work/scene/scene.xyz.labels.ply" > "$work/vertices" || fail "expected a labelled PLY"
    awk '{ print $1 + 0, $2 + 0, $3 + 0 }' "$work/vertices" > "$work/back"
    python3 - "$work/scene.xyz" "$work/back" << 'END' || fail "expected the points in their order"
import struct, sys
single = lambda text: [struct.unpack("f", struct.pack("f", float(v)))[0] for v in text.split()]
near = lambda a, b: all(abs(x - y) <= 1e-5 * (1 + abs(x)) for x, y in zip(a, b))
a, b = open(sys.argv[1]).readlines(), open(sys.argv[2]).readlines()
sys.exit(not (len(a) == len(b) and all(near(single(x), single(y)) for x, y in zip(a, b))))
END
    [ "$(head -c 8 "$work/scene/scene.xyz.top.png" | od -An -tx1 | tr -d ' ')" = 89504e470d0a1a0a ] ||
        fail "expected a PNG"
    python3 - "$work/scene/scene.xyz.json" "$work/vertices" << 'END' || fail "expected counts of the labels"
import collections, json, sys
told = {c["class_id"]: c["points"] for c in json.load(open(sys.argv[1]))["classes"]}
found = collections.Counter(int(line.split()[6]) for line in open(sys.argv[2]))
sys.exit(not (sum(told.values()) == 90000 and all(told[c] == found[c] for c in told)))
END
    check 0 "infer of a scene --json" ctl infer segment "$work/scene.xyz" --json; out_json 1
    out_has '"parts": 2'
    check 0 "infer of a small cloud" ctl infer segment "$chair" --out "$work/scene"
    check 1 "infer of a scene too far away" sh -c "echo 1e20 0 0 > $work/far.xyz &&
        '$xnorctl' infer segment $work/far.xyz --socket $socket"
    err_has "too far from the origin"
    daemon_stop
    models=
else
    echo "cli_test: skipped segmentation: no $segment"
fi

# ---- images ---------------------------------------------------------------------------------------

if [ -f "$build/tests/e2e/image.xnor" ]; then
    models=$work/image_models
    mkdir "$models"
    cp "$build/tests/e2e/image.xnor" "$models/image.xnor"
    daemon_start
    check 0 "inspect of images" "$xnorctl" inspect "$models/image.xnor"
    out_has "images, rgb, up to 96 x 64, multiples of 8, fit"; out_has "depth: depth, 0.6 to 4 m"
    check 0 "inspect of images --json" "$xnorctl" inspect "$models/image.xnor" --json
    python3 -m json.tool "$work/out" > /dev/null || fail "invalid JSON"
    check 0 "models image" ctl models image; out_has "to image, up to 96 x 64 in multiples of 8"; out_has "semseg, segmentation"
    check 0 "models image --json" ctl models image --json; out_json 1; out_has '"image_input": "image"'

    png() { python3 "$root/tests/e2e/png.py" "$@"; }
    png write "$work/picture.png"
    check 0 "infer of an image" ctl infer image "$work/picture.png" --out "$work/maps"
    out_has "picture.png"; out_has "red"; out_has "25.0 %"; out_has "1.83 to 1.91 m"; out_has "thing at"; err_empty
    png labels "$work/maps/picture.png.semseg.png" || fail "expected a label map"
    png depth "$work/maps/picture.png.depth.png" || fail "expected depth in millimetres"
    for map in semseg.overlay normals edges boxes; do
        png size "$work/maps/picture.png.$map.png" 96 64 || fail "expected a picture of $map"
    done
    [ -s "$work/maps/picture.png.scores.npy" ] || fail "expected raw scores"
    python3 -m json.tool "$work/maps/picture.png.json" > /dev/null || fail "invalid JSON in --out"
    check 0 "infer of an image --json" ctl infer image "$work/picture.png" --json; out_json 1
    out_has '"name": "red", "class_id": 0, "pixels": 1536'; out_has '"width": 96'

    check 0 "infer --outputs" ctl infer image "$work/picture.png" --outputs depth,semseg.confidence --json --out "$work/two"
    out_json 1; out_has '"depth.millimetres"'
    [ "$(grep -o '"kind"' "$work/out" | wc -l)" -eq 2 ] || fail "expected two outputs"
    [ -s "$work/two/picture.png.semseg.confidence.npy" ] || fail "expected confidences"
    cmp "$work/maps/picture.png.depth.png" "$work/two/picture.png.depth.png" || fail "expected the depth of all outputs"
    [ ! -e "$work/two/picture.png.normals.png" ] || fail "expected only what was asked for"
    check 1 "infer of an unknown output among others" ctl infer image "$work/picture.png" --outputs depth,nothing; err_has "not 'nothing'"
    check 1 "infer of an unknown output" ctl infer image "$work/picture.png" --outputs nothing; err_has "not 'nothing'"
    check 2 "infer --outputs without names" ctl infer image "$work/picture.png" --outputs ,; err_has "--outputs"

    # Red is on top once the image is turned.
    check 0 "infer of a turned photo" ctl infer image "$root/tests/e2e/turned.jpg" --json --out "$work/maps"
    out_has '"width": 32, "height": 48'
    png top "$work/maps/turned.jpg.semseg.png" || fail "expected red on top"

    # A folder holds other files too; damaged images do not stop the rest.
    mkdir "$work/photos"
    cp "$work/picture.png" "$work/photos/good.png"
    cp "$root/tests/e2e/turned.jpg" "$work/photos/good.jpeg"
    cp "$work/square.off" "$work/photos/mesh.off"
    head -c 200 "$root/tests/e2e/turned.jpg" > "$work/photos/cut.jpg"
    head -c 60 "$work/picture.png" > "$work/photos/cut.png"
    check 1 "infer of a folder of images" ctl infer image "$work/photos" --json
    err_has "cut.jpg: damaged JPEG"; err_has "cut.png: damaged PNG"; out_json 4
    check 1 "infer of a mesh as an image" ctl infer image "$work/square.off"; err_has "expected a PNG or JPEG"
    check 1 "infer of a missing image" ctl infer image "$work/none.png"; err_has "none.png"
    png large "$work/large.png"
    check 0 "infer of an image larger than a message" ctl infer image "$work/large.png" --outputs semseg --json
    err_has "made smaller for the daemon, from 2000 x 1500 to"; out_json 1
    daemon_stop
    models=
else
    echo "cli_test: skipped images: no $build/tests/e2e/image.xnor"
fi

check 3 "status after the daemon's end" ctl status; err_has "cannot reach the daemon"
finish
