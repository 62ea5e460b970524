# The package as an operator meets it, in namespaces without a network: installed in one clean root,
# used by two phones, backed up, and restored in another root where the same office is served.
# Arguments: the two roots, and the directory of the phones' scenarios. The phones are this
# machine's.
set -eu
first=$1
second=$2
phones=$3
export DEBIAN_FRONTEND=noninteractive

said() {
    echo "--- $*"
}

failed() {
    echo "$*" >&2
    for log in "$root"/run/log "$phones"/*.log; do
        [ ! -f "$log" ] || { echo "== $log" >&2; tail -n 40 "$log" >&2; }
    done
    exit 1
}

in_root() {
    chroot "$root" "$@"
}

enter() {
    root=$1
    mount -t proc proc "$root/proc"
    mount -t tmpfs -o mode=755 run "$root/run"
    in_root apt-get install --quiet --quiet --yes --no-install-recommends /koukan.deb
}

# As the unit has it: user, group, mask, and a runtime directory that the group may enter.
start() {
    in_root install -d -o koukan -g koukan -m 0750 /run/koukan
    in_root sh -c 'cd /var/lib/koukan && umask 0027 && exec setpriv --reuid koukan --regid koukan \
        --init-groups koukan run /etc/koukan' >"$root/run/log" 2>&1 &
    server=$!
    turns=0
    until in_root koukan ctl status >/dev/null 2>&1; do
        turns=$((turns + 1))
        [ "$turns" -le 100 ] || failed "the server does not answer"
        sleep 0.2
    done
}

password() {
    cat "$root/etc/koukan/tenants/acme/secrets/$1"
}

phone() {
    scenario=$1 port=$2 user=$3 secret=$4
    shift 4
    sipp 127.0.0.1:5060 -sf "$scenario.xml" -i 127.0.0.1 -p "$port" -au "$user" -ap "$secret" \
        -m 1 -nostdin -timeout 40s -timeout_error "$@" >"$scenario.log" 2>&1
}

# 801 calls 802; what each of them sent arrived, says the record.
call() {
    cd "$phones"
    phone callee 5072 acme-802 "$(password B)" -rtp_echo -mp 17000 &
    callee=$!
    sleep 1
    phone caller 5071 acme-801 "$(password A)" -min_rtp_port 18000 -max_rtp_port 18020 ||
        failed "the caller is not served"
    wait "$callee" || failed "the called phone is not served"
    turns=0
    until in_root koukan ctl cdrs --format jsonl >"$phones/records" &&
        [ "$(grep -c '"called":"802"' "$phones/records")" -ge "$1" ]; do
        turns=$((turns + 1))
        [ "$turns" -le 50 ] || failed "the call has no record"
        sleep 0.2
    done
    heard=$(tail -n 1 "$phones/records" | grep -o '"rtp_received":[0-9]*' | cut -d: -f2)
    for packets in $heard; do
        [ "$packets" -ge 50 ] || failed "one of them was not heard: $heard"
    done
    [ "$(echo "$heard" | wc -w)" -eq 2 ] || failed "two phones spoke, the record has: $heard"
    echo "packets received of each phone:" $heard
}

yes 'a voice' | head -c 16000 >"$phones/voice.ulaw"

enter "$first"
said "the packaged sample"
in_root koukan check /etc/koukan
start
in_root stat -c '%a %U %G' /run/koukan/koukan.sock | grep -x '660 koukan koukan'
in_root sh -c 'cd / && setpriv --reuid nobody --regid koukan --clear-groups koukan ctl status' \
    >/dev/null || failed "a member of the group may not ask the server"
! in_root setpriv --reuid nobody --regid nogroup --clear-groups koukan ctl status \
    >/dev/null 2>&1 || failed "anybody may ask the server"
said "a call with sound to itself"
in_root koukan ctl selftest acme || failed "the selftest fails"
said "two phones"
(cd "$phones" && phone register 5072 acme-802 "$(password B)") || failed "802 is not registered"
call 1
said "a backup while it runs, and the end"
in_root koukan ctl backup /root/backup
in_root koukan ctl drain --deadline 10s
wait "$server" || failed "the server did not end in order"
said "renewed"
echo '# an operator was here' >>"$root/etc/koukan/trunks.toml"
in_root dpkg --install /koukan.deb
grep -q 'an operator was here' "$root/etc/koukan/trunks.toml"

# Another machine has other users: the server's has another number there.
for id in 100 101 102 103; do
    chroot "$second" sh -c "groupadd --gid $id other$id && useradd --uid $id --gid $id \
        --no-create-home other$id" >/dev/null 2>&1 || true
done
enter "$second"
said "restored elsewhere: the same office, whose phone is registered still"
cp -a "$first/root/backup" "$root/root/backup"
rm -rf "$root/etc/koukan"
in_root koukan restore /root/backup /etc/koukan
in_root koukan check /etc/koukan
start
[ "$(stat -c %u "$first/var/lib/koukan")" != "$(stat -c %u "$second/var/lib/koukan")" ]
call 2
in_root koukan ctl drain --deadline 10s
wait "$server" || failed "the restored server did not end in order"

said "removed"
root=$first
in_root dpkg --purge koukan
[ ! -e "$root/usr/bin/koukan" ] && [ ! -e "$root/etc/koukan/koukan.toml" ]
[ -e "$root/var/lib/koukan/koukan.db" ]
said "done"
