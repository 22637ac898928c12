#!/usr/bin/env bats
# As a service: the notify protocol, the unit file, and what `meson install` puts where.
load helpers

setup() {
	prepare
	start_relay
	ROOT=$BATS_TEST_DIRNAME/../..
}
teardown() { clean_up; }

# listen [PATH]: a service manager's ear there; what it hears is in `heard`.
listen() {
	NOTIFY=${1:-$DIR/notify.sock}
	python3 "$BATS_TEST_DIRNAME/notified.py" "$NOTIFY" heard 2>ear.err 3>&- &
	PROCESSES+=($!)
	wait_for '[[ -e heard ]]'
	TURNSTILE_ENV=("NOTIFY_SOCKET=$NOTIFY")
}
# hears REGEX [N]: N such lines (1).
hears() { wait_for "(( \$(grep -cxE '$1' heard) >= ${2:-1} ))"; }

# tell LINE: the ear hears that, too.
tell() { printf %s "$1" | socat -u - "UNIX-SENDTO:$NOTIFY"; }

@test "READY=1 when it serves, STOPPING=1 on SIGTERM, and nothing else" {
	listen
	start_turnstile
	hears 'READY=1\|STATUS=serving'
	served k1
	turn a k1
	kill "$TURNSTILE_PID"
	hears 'STOPPING=1\|STATUS=draining'
	kill -HUP "$TURNSTILE_PID"
	log_wait '.msg == "reloaded"'
	hang_up a
	ended "$TURNSTILE_PID"
	equal "$(wc -l <heard)" 2
}

@test "SIGUSR1 isn't told as stopping, for which the manager has less patience" {
	listen
	start_turnstile
	turn a k1
	kill -USR1 "$TURNSTILE_PID"
	hears 'STATUS=retiring'
	lacks STOPPING heard
	hang_up a
	ended "$TURNSTILE_PID"
	equal "$STATUS" 0
}

@test "an abstract socket; and one that isn't there is no reason not to serve" {
	listen "@turnstile-test-$$-$RANDOM"
	start_turnstile
	hears 'READY=1\|STATUS=serving'
	TURNSTILE_ENV=("NOTIFY_SOCKET=$DIR/nobody.sock" WATCHDOG_USEC=100000)
	start_turnstile
	served k1
}

@test "RELOADING=1 with the time, then READY=1, on SIGHUP, also if it fails" {
	listen
	echo '[queue]' >turnstile.ini
	start_turnstile --config turnstile.ini
	kill -HUP "$TURNSTILE_PID"
	hears 'RELOADING=1\|MONOTONIC_USEC=[0-9]{6,}'
	hears 'READY=1\|STATUS=serving' 2
	echo nonsense >turnstile.ini
	kill -HUP "$TURNSTILE_PID"
	hears 'RELOADING=1.*' 2
	hears 'READY=1\|STATUS=serving; not reloaded, see the log'
	: >turnstile.ini
	kill -HUP "$TURNSTILE_PID"
	hears 'READY=1\|STATUS=serving' 3
}

@test "the watchdog is fed by the loop: one that doesn't turn is silent" {
	listen
	TURNSTILE_ENV+=(WATCHDOG_USEC=200000)
	start_turnstile
	hears WATCHDOG=1 3
	kill -STOP "$TURNSTILE_PID"
	wait_for "grep -q '^State:.T' /proc/$TURNSTILE_PID/status"
	tell mark # behind what it had sent
	hears mark
	local before
	before=$(wc -l <heard)
	rest 500 # the silence itself
	equal "$(wc -l <heard)" "$before"
	kill -CONT "$TURNSTILE_PID"
	hears WATCHDOG=1 $((before + 2))
}

@test "no watchdog where none is asked for, or another process is meant" {
	listen
	start_turnstile
	TURNSTILE_ENV+=(WATCHDOG_USEC=10000 WATCHDOG_PID=1)
	start_turnstile
	hears 'READY=1.*' 2
	served k1
	lacks WATCHDOG heard
}

@test "a start that fails says no READY=1" {
	listen
	run run_turnstile -o "listen.address=$RELAY" -o admin.address=
	equal "$status" 1
	lacks READY heard
}

@test "a successor is the main process from then on, and feeds the watchdog; the old one is silent" {
	listen
	TURNSTILE_ENV+=(WATCHDOG_USEC=200000)
	start_turnstile -o listen.takeover="$DIR/takeover.sock"
	local first=$TURNSTILE_PID
	TURNSTILE_ENV+=("WATCHDOG_PID=$first")
	hears 'READY=1\|STATUS=serving'
	start_turnstile -o listen.takeover="$DIR/takeover.sock"
	hears "READY=1\|STATUS=serving\|MAINPID=$TURNSTILE_PID"
	ended "$first"
	hears WATCHDOG=1 $(($(wc -l <heard) + 2))
	lacks STOPPING heard
}

# Here the former process is the manager's ear, too, so that it can tell what it heard first.
@test "a successor is told as the main process before the old one may end" {
	python3 - 2>former.err 3>&- <<-'END' &
		import os, socket
		def bound(kind, path):
		    s = socket.socket(socket.AF_UNIX, kind)
		    s.bind(path)
		    return s
		ear = bound(socket.SOCK_DGRAM, "notify.sock")
		door = bound(socket.SOCK_SEQPACKET, "takeover.sock")
		listener = socket.create_server(("127.0.0.1", 0))
		listener.setblocking(False)
		door.listen()
		open("waits", "w")
		link = door.accept()[0]
		assert link.recv(1024) == b"turnstile 1 take"
		socket.send_fds(link, [b"turnstile 1 sockets\nlisten.address 127.0.0.1:0\n"], [listener.fileno()])
		assert link.recv(1024) == b"turnstile 1 go"
		ear.setblocking(False)
		open("first", "w").write(ear.recv(4096).decode())
		door.close()
		os.unlink("takeover.sock")
		link.send(b"turnstile 1 gone")
	END
	local former=$!
	PROCESSES+=("$former")
	wait_for '[[ -e waits ]]'
	TURNSTILE_ENV=("NOTIFY_SOCKET=$DIR/notify.sock")
	start_turnstile -o listen.takeover="$DIR/takeover.sock"
	has "MAINPID=$TURNSTILE_PID" "$(cat first)"
	log_wait '.msg == "took over from the former process"'
	ended "$former"
	equal "$STATUS" 0
	served k1
}

@test "SIGUSR2: the program starts its own successor, which takes over" {
	listen
	start_turnstile -o listen.takeover="$DIR/takeover.sock"
	local first=$TURNSTILE_PID successor
	turn a k1
	kill -USR2 "$first"
	hears "READY=1\|STATUS=serving\|MAINPID=[0-9]+"
	successor=$(sed -n 's/.*MAINPID=//p' heard)
	log_wait '.msg == "took over from the former process"'
	[[ $successor != "$first" ]]
	equal "$(http "$ADMIN/api/status" | jq .pid)" "$successor"
	served k2
	running "$first"
	hang_up a
	ended "$first"
	equal "$STATUS" 0
	kill "$successor"
	log_wait '.msg == "stopped"'
	wait_for "[[ \$(log_lines 'select(.msg == \"stopped\")' | wc -l) == 2 ]]"
}

@test "the manager is told at once of a successor that crashes, and not of one that ends" {
	listen
	start_turnstile -o listen.takeover="$DIR/takeover.sock"
	local first=$TURNSTILE_PID
	turn a k1
	kill -USR2 "$first"
	hears 'READY=1\|STATUS=serving\|MAINPID=[0-9]+'
	log_wait '.why == "a successor has taken over"'
	kill -KILL "$(sed -n 's/.*MAINPID=//p' heard)"
	hears WATCHDOG=trigger
	hang_up a
	ended "$first"

	start_turnstile -o listen.takeover="$DIR/takeover.sock"
	first=$TURNSTILE_PID
	turn b k1
	kill -USR2 "$first"
	hears 'READY=1\|STATUS=serving\|MAINPID=[0-9]+' 2
	log_wait '.why == "a successor has taken over"'
	kill "$(sed -n 's/.*MAINPID=//p' heard | tail -n 1)"
	log_wait '.msg == "the successor has ended" and .level == "info"'
	hang_up b
	ended "$first"
	equal "$(grep -c trigger heard)" 1
}

@test "SIGUSR2 without listen.takeover, or with a configuration that became wrong: goes on" {
	echo '[queue]' >turnstile.ini
	start_turnstile
	kill -USR2 "$TURNSTILE_PID"
	log_wait '.msg == "no successor is started"'
	start_turnstile --config turnstile.ini -o listen.takeover="$DIR/takeover.sock"
	echo nonsense >turnstile.ini
	kill -USR2 "$TURNSTILE_PID"
	log_wait '.msg == "the successor has ended" and .status == 2'
	served k1
	: >turnstile.ini
	kill -USR2 "$TURNSTILE_PID"
	ended "$TURNSTILE_PID"
	equal "$STATUS" 0
	served k1
	kill "$(http "$ADMIN/api/status" | jq .pid)"
	wait_for "[[ \$(log_lines 'select(.msg == \"stopped\")' | wc -l) == 2 ]]"
}

# As systemd does to what is left when the main process has ended.
@test "a second SIGTERM cuts nothing where a successor has taken over; SIGINT does" {
	start_turnstile -o listen.takeover="$DIR/takeover.sock"
	local first=$TURNSTILE_PID
	held a k1
	turn b k2
	start_turnstile -o listen.takeover="$DIR/takeover.sock"
	LOG=$DIR/turnstile-1.log
	log_wait '.msg == "retiring: serving those who are here"'
	kill "$first"
	log_wait '.msg == "draining"'
	kill "$first"
	relay_go
	await a
	equal "$(outcome a)" '200 0'
	running "$first"
	kill -INT "$first"
	await b
	equal "$(outcome b)" '200 18'
	ended "$first"
	equal "$STATUS" 1
}

@test "where the journal reads stderr, each line begins with its level; elsewhere none does" {
	: >turnstile-1.log
	TURNSTILE_ENV=("JOURNAL_STREAM=$(stat -c %d:%i turnstile-1.log)")
	start_turnstile -o queue.timeout_ms=300000
	kill -USR2 "$TURNSTILE_PID"
	wait_for 'grep -q "^<4>.*no successor is started" turnstile-1.log'
	grep -q '^<6>{.*"msg":"listening"' turnstile-1.log
	lacks '^[^<]' turnstile-1.log
	run_turnstile -o queue.timeout_ms=300000 --check 2>>turnstile-1.log
	grep -q '^<4>warning: ' turnstile-1.log
	run_turnstile -o queue.timeout_ms=x 2>>turnstile-1.log || equal $? 2
	has '<3>-o queue.timeout_ms' "$(tail -n 1 turnstile-1.log)"
	start_turnstile # its log is another file
	served k1
	lacks '^<' "$LOG"
}

@test "the unit is hardened to below 2.0" {
	local version
	version=$(systemd-analyze --version 2>/dev/null | awk 'NR == 1 { print $2 }')
	((${version:-0} >= 250)) || skip "SKIPPED: systemd-analyze 250 or later isn't here"
	systemd-analyze security --offline=true --no-pager --threshold=19 "$ROOT/config/turnstile.service" >security
	grep 'Overall exposure' security
}

@test "meson install: program, man page, service; a configuration that is there stays" {
	command -v meson >/dev/null || skip "SKIPPED: meson isn't here"
	local build prefix ini unit
	build=$(cd "$(dirname "$TURNSTILE")/.." && pwd)
	install() { DESTDIR=$DIR/root meson install -C "$build" --no-rebuild >install.log 2>&1 || { cat install.log >&2; return 1; }; }
	install
	prefix=$(meson introspect "$build" --buildoptions | jq -r '.[] | select(.name == "prefix").value')
	ini=$(cd root && find . -name turnstile.ini | cut -c2-)
	unit=$(cat "root$prefix/lib/systemd/system/turnstile.service")
	has "$("root$prefix/bin/turnstile" --version)" "$("$TURNSTILE" --version)"
	has "ExecStart=$prefix/bin/turnstile --config $ini" "$unit"
	"root$prefix/bin/turnstile" --check --config "root$ini" -o redis.instance=x
	echo '# mine' >"root$ini"
	install
	equal "$(cat "root$ini")" '# mine'
	[[ -s root$prefix/share/doc/turnstile/LICENSE && -s root$prefix/share/bash-completion/completions/turnstile ]]
}

# completed WORD...: what is offered for the last one; "=" is a word, as bash cuts them.
completed() {
	bash -c 'source "$0/config/turnstile.bash"
		COMP_WORDS=(turnstile "${@:2}") COMP_CWORD=$(($# - 1))
		_turnstile "$1" "${COMP_WORDS[-1]}" "${COMP_WORDS[-2]}"
		printf "%s\n" "${COMPREPLY[@]}"' "$ROOT" "$TURNSTILE" "$@" | paste -s -d ' '
}

@test "completion of bash offers what the program tells of itself" {
	equal "$(completed --pr)" --print-config
	equal "$(completed -o queue.mo)" queue.mode=
	equal "$(completed -o queue.mode =)" 'enforce observe off'
	equal "$(completed -o queue.mode = obs)" observe
	equal "$(completed -o queue.enabled = '')" 'true false'
	equal "$(completed -o queue.enabled = f)" false
	equal "$(completed hash)" hash-key
	equal "$(completed explain --from)" --from-log
	touch x.ini
	equal "$(completed --config x)" x.ini
	equal "$(completed -o '' | wc -w)" "$("$TURNSTILE" --help | grep -cE '^  [a-z]+\.[a-z_]+ =')"
}

# page NAME: the man page as text, if it is without mistakes.
page() {
	local page
	page=$(dirname "$TURNSTILE")/../config/$1
	equal "$(groff -man -ww -z -K utf8 "$page" 2>&1)" ""
	groff -man -T utf8 -P -cbou -K utf8 "$page"
}

@test "the man pages have every option, flag, outcome and reason, and no mistakes" {
	local name
	command -v groff >/dev/null || skip "SKIPPED: groff isn't here"
	page turnstile.ini.5 >text
	"$TURNSTILE" --help | sed -n 's/^  \([a-z]*\.[a-z_]*\) =.*/\1/p' >names
	(($(wc -l <names) > 50))
	while read -r name; do
		grep -qxE " +$name" text || { echo "the man page lacks $name" >&2; return 1; }
	done <names
	page turnstile.1 >text
	has '--health[=ready]' "$(cat text)"
	"$TURNSTILE" codes | sed -n 's/^  \([a-z_]*\) = .*/\1/p' >names
	(($(wc -l <names) > 30))
	while read -r name; do
		grep -qE "^ +$name \(" text || { echo "the man page lacks $name" >&2; return 1; }
	done <names
}
