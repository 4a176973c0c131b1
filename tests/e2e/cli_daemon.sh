# shellcheck shell=sh
# Sourced by the end-to-end scripts: a private daemon in a private folder, no root needed.
#   daemon_prepare BUILD_DIR   sets root, build, xnorctl, work and socket; cleans up at exit
#   daemon_start               starts xnord with the models in $models, or the checkout's, and waits
#                              until it is ready
#   daemon_stop                stops it, by its process id

daemon_pid=

daemon_prepare() {
    root=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)
    build=$(CDPATH='' cd -- "$1" && pwd)
    xnorctl=$build/xnorctl
    [ -x "$xnorctl" ] || { echo "$xnorctl: expected the program; run make first" >&2; exit 1; }
    work=$(mktemp -d "${TMPDIR:-/tmp}/xnord-e2e-XXXXXX")
    socket=ipc://$work/infer.sock
    trap daemon_clean_up EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
}

daemon_clean_up() {
    daemon_stop
    rm -rf "$work"
}

# A model that is still loading is waited for; one that failed is not.
daemon_start() {
    [ -x "$build/xnord" ] || { echo "$build/xnord: expected the program; run make first" >&2; return 1; }
    : > "$work/xnord.yaml" # an empty one, so that /etc/xnord has no say
    "$build/xnord" --config "$work/xnord.yaml" --socket "$socket" --models "${models:-$root/models}" \
        > "$work/xnord.log" 2>&1 &
    daemon_pid=$!
    tries=0
    while ! "$xnorctl" status --json --socket "$socket" 2> /dev/null | grep -q '"ready": true'; do
        tries=$((tries + 1))
        if [ "$tries" -gt 100 ] || ! kill -0 "$daemon_pid" 2> /dev/null; then
            echo "xnord: expected it to be ready within 10 s; its log:" >&2
            cat "$work/xnord.log" >&2
            return 1
        fi
        sleep 0.1
    done
}

daemon_stop() {
    [ -n "$daemon_pid" ] || return 0
    kill "$daemon_pid" 2> /dev/null || :
    wait "$daemon_pid" 2> /dev/null || :
    daemon_pid=
}
