#!/bin/sh
# Draws the sample clouds again from the meshes of Debian's package sweethome3d-furniture.
# Usage: samples/make_samples.sh [XNORCTL]        (default: build/xnorctl)
# Needs: apt install sweethome3d-furniture unzip
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
xnorctl=${1:-$here/../build/xnorctl}
catalogue=/usr/share/sweethome3d/furniture/BlendSwap-CC-0.sh3f
points=2048

[ -x "$xnorctl" ] || { echo "$xnorctl: expected the program xnorctl; run make first" >&2; exit 1; }
[ -r "$catalogue" ] || { echo "$catalogue: apt install sweethome3d-furniture" >&2; exit 1; }

meshes=$(mktemp -d)
trap 'rm -rf "$meshes"' EXIT

# The meshes have y up, as all of Sweet Home 3D; sensors and ModelNet have z up.
while read -r sample model; do
    unzip -q -o "$catalogue" "blendswap-cc-0/$model/$model.obj" -d "$meshes"
    "$xnorctl" sample "$meshes/blendswap-cc-0/$model/$model.obj" -o "$here/$sample.ply" \
        --points "$points" --seed 0 --up y
    echo "$sample.ply"
done <<END
bed_iron            bed1
bed_wooden          bed2
bed_modern          bed3
chair_antique       antiqueChair
chair_classroom     plasticChair
chair_oak           oakChair
desk                desk
night_stand         bedsideTable2
sofa_contemporary   couch
sofa_corner         couch2
sofa_rounded        sofa2
table_round         oakTable
table_trestle       table
television          led_tv
toilet              toiletsUnit
END
