#!/bin/sh
# Labels the sample clouds, the points of a made-up park and the pixels of a rendered room, through a private daemon:
# tests/e2e/demo.sh BUILD_DIR
# Fails if a sample gets no label; a label other than the expected one is only counted.
set -eu
# shellcheck source=tests/e2e/cli_daemon.sh
. "$(dirname -- "$0")/cli_daemon.sh"
daemon_prepare "${1:-build}"
model=pointnet-modelnet10

# Rows of the table in samples/README.md: "| FILE.ply | CLASS | ...".
expected_of() {
    awk -F ' *[|] *' -v file="$1" '$2 == file { print $3 }' "$root/samples/README.md"
}

# The first label in what xnorctl infer --out wrote.
label_of() {
    sed -n 's/.*"labels": \[{"name": "\([^"]*\)".*/\1/p' "$work/labels/$1.json" 2> /dev/null
}

daemon_start
cd "$root"
failed=0
"$xnorctl" infer "$model" samples/*.ply --socket "$socket" --out "$work/labels" || failed=$?

total=0 right=0 missing=0
for sample in samples/*.ply; do
    name=${sample#samples/}
    expected=$(expected_of "$name")
    [ -n "$expected" ] || { echo "$name: expected a row in samples/README.md" >&2; exit 1; }
    label=$(label_of "$name")
    total=$((total + 1))
    if [ -z "$label" ]; then
        missing=$((missing + 1))
    elif [ "$label" = "$expected" ]; then
        right=$((right + 1))
    else
        others="${others-}$name: expected $expected, labelled $label
"
    fi
done

echo
echo "$right of $total labels are the expected ones."
printf %s "${others-}"
[ "$missing" -eq 0 ] || echo "$missing of $total samples got no label." >&2

# A made-up park, every point of which gets a label.
out=${build#"$root"/}/demo
mkdir -p "$out"
python3 samples/make_scene.py "$out/park.ply"
echo
"$xnorctl" infer lidar-scenes "$out/park.ply" --socket "$socket" --out "$out" || failed=$?
echo
python3 - "$out/park.ply" "$out/park.ply.labels.ply" << 'END' || failed=1
import sys
def labels(path, record):  # the last byte of each point
    body = open(path, "rb").read().split(b"end_header\n", 1)[1]
    return body[record - 1::record]
made, found = labels(sys.argv[1], 13), labels(sys.argv[2], 16)
right = sum(a == b for a, b in zip(made, found))
print(f"{100 * right / len(made):.1f} % of {len(made)} points have the label that they were made with.")
sys.exit(len(made) != len(found))
END
echo "Seen from above: $out/park.ply.top.png"

# A rendered room: what things are, how far away, which way surfaces look, where their edges are.
echo
"$xnorctl" infer rooms samples/room.png --socket "$socket" --out "$out" || failed=$?
for kind in semseg.overlay depth normals edge; do
    [ -s "$out/room.png.$kind.png" ] || { echo "$out/room.png.$kind.png was not written" >&2; failed=1; }
done
echo "Pictures: $out/room.png.*.png"
[ "$failed" -eq 0 ] && [ "$missing" -eq 0 ]
