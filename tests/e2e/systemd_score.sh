#!/bin/sh
# Checks the unit file without a running systemd: its exposure score (0 is best, 10 is worst) is at
# most 1.0, and every directive is known to systemd.
set -u
unit=$(cd "$(dirname "$0")/../../systemd" && pwd)/xnord.service
limit=1.0
passed=0
failed=0

check() { # name, exit status of the check
    if [ "$2" -eq 0 ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAIL $1"
    fi
}

if ! command -v systemd-analyze >/dev/null; then
    echo "SKIP systemd-analyze is not installed"
    exit 0
fi

report=$(systemd-analyze security --offline=true --no-pager "$unit" 2>&1)
score=$(printf '%s\n' "$report" | sed -n 's/.*Overall exposure level for .*: \([0-9.]*\) .*/\1/p')
echo "exposure score ${score:-unknown}, limit $limit"
[ -n "$score" ] && awk -v score="$score" -v limit="$limit" 'BEGIN { exit !(score <= limit) }'
check "exposure score is at most $limit" $?

# The binary is not installed where the test runs, which is all that verify may complain about.
complaints=$(systemd-analyze verify --man=no "$unit" 2>&1 |
    grep "xnord.service" | grep -v "is not executable")
[ -z "$complaints" ] || echo "$complaints"
[ -z "$complaints" ]
check "every directive is known" $?

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
