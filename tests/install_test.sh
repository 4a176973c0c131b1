#!/bin/sh
# What `make install` puts where, and that a program can be built against it: install_test.sh BUILD_DIR
set -eu
build=$1
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0 failed=0
check() { # NAME COMMAND...
    name=$1
    shift
    if "$@" >"$work/log" 2>&1; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAIL $name"
        sed 's/^/    /' "$work/log"
    fi
}

make -s -C "$root" B="$build" install DESTDIR="$work/root" PREFIX=/usr >"$work/log" 2>&1 || {
    cat "$work/log"
    echo "0 passed, 1 failed"
    exit 1
}
cd "$work/root"
for file in usr/bin/xnord usr/bin/xnorctl usr/lib/libxnord.so usr/lib/libxnord.a usr/include/xnord.h \
    usr/include/xnord_codes.h usr/lib/pkgconfig/libxnord.pc etc/xnord/xnord.yaml usr/lib/systemd/system/xnord.service \
    usr/lib/sysusers.d/xnord.conf usr/lib/tmpfiles.d/xnord.conf usr/share/man/man8/xnord.8 \
    usr/share/man/man1/xnorctl.1 usr/share/xnord/models/pointnet-modelnet10/pointnet-modelnet10.xnor; do
    check "installs $file" test -f "$file"
done

# Only the public names leave the shared library.
nm -D --defined-only usr/lib/libxnord.so | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' | sort >"$work/exported"
sed -n 's/^    \([a-z_]*\);/\1/p' "$root/clients/libxnord/libxnord.map" | sort >"$work/listed"
check "exports what libxnord.map lists" diff "$work/listed" "$work/exported"

PKG_CONFIG_LIBDIR=$PWD/usr/lib/pkgconfig
PKG_CONFIG_SYSROOT_DIR=$PWD
export PKG_CONFIG_LIBDIR PKG_CONFIG_SYSROOT_DIR
# shellcheck disable=SC2046
check "a client builds with pkg-config" cc -std=c11 -D_GNU_SOURCE "$root/clients/libxnord/example.c" \
    -o "$work/example" $(PKG_CONFIG_ALLOW_SYSTEM_CFLAGS=1 PKG_CONFIG_ALLOW_SYSTEM_LIBS=1 pkg-config --cflags --libs libxnord)
check "the installed daemon starts" usr/bin/xnord --version
check "the installed client starts" usr/bin/xnorctl --version
check "the installed configuration is valid" usr/bin/xnord --config etc/xnord/xnord.yaml --check-config
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
