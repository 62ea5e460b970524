# The package under its service manager: run as a unit of a booted root, which ends with it.
# What failed is the root's exit status.
set -eu
export DEBIAN_FRONTEND=noninteractive

said() {
    echo "--- $*"
}

failed() {
    echo "$*"
    systemctl status --no-pager --full koukan.service || true
    journalctl --no-pager --lines 60 --unit koukan.service || true
    exit 1
}

shown() {
    systemctl show --property "$1" --value koukan.service
}

# Waits, a second at a time and a minute at most, until what it is told holds.
until_it() {
    turns=0
    until "$@"; do
        turns=$((turns + 1))
        [ "$turns" -le 60 ] || failed "not within a minute: $*"
        sleep 1
    done
}

is_another() {
    now=$(shown MainPID)
    [ "$now" != 0 ] && [ "$now" != "$1" ] && koukan ctl status >/dev/null 2>&1
}

is_over() {
    [ "$(shown ActiveState)" = inactive ]
}

ip link set lo up 2>/dev/null || true
apt-get install --quiet --quiet --yes --no-install-recommends /koukan.deb
said "started by its installation, as the unit says"
[ "$(shown ActiveState)" = active ] || failed "it was not started"
first=$(shown MainPID)
[ "$(stat -c %U "/proc/$first")" = koukan ] || failed "it is not the user koukan"
[ "$(shown WatchdogUSec)" = 30s ] || failed "nobody watches it"
[ "$(cat "/proc/$first/oom_score_adj")" = -500 ] || echo "the root may not change who goes first"
[ "$(stat -c '%a %U %G' /run/koukan /var/lib/koukan | sort -u)" = "750 koukan koukan" ] ||
    failed "its directories are not its own"
grep -q '^Seccomp:[[:space:]]*2$' "/proc/$first/status" || failed "no filter of system calls"
! grep -q '^CapEff:.*[1-9a-f]' "/proc/$first/status" || failed "it has capabilities"
koukan ctl selftest acme || failed "a call with sound fails behind the unit's walls"
systemctl reload koukan.service || failed "it does not reload"
said "killed: it is begun anew"
kill -KILL "$first"
until_it is_another "$first"
said "hung: its watchdog bites"
second=$(shown MainPID)
kill -STOP "$second"
until_it is_another "$second"
[ "$(shown NRestarts)" = 2 ] || failed "it was begun anew $(shown NRestarts) times"
koukan ctl selftest acme || failed "a call fails behind the watchdog"
said "drained: that is an end, and no failure"
koukan ctl drain --deadline 10s
until_it is_over
[ "$(shown Result)" = success ] || failed "its end is $(shown Result)"
systemctl start koukan.service
systemctl stop koukan.service
[ "$(shown Result)" = success ] || failed "its stop is $(shown Result)"
dpkg --purge koukan
said "done"
