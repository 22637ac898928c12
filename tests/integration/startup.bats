#!/usr/bin/env bats
# What a start finds around it: signals that come too early, descriptors that aren't there, a log without a reader, and
# files that are none. SLOW_START_LIBRARY lets a start last (slow_start.c).
load helpers
load admin

setup() {
	prepare
	start_relay
}
teardown() { clean_up; }

# slow: what is started from now on lasts while $DIR/load or $DIR/start is there.
slow() {
	: "${SLOW_START_LIBRARY:?the library that makes a start last}"
	TURNSTILE_ENV=("LD_PRELOAD=$SLOW_START_LIBRARY" "SLOW_LOAD=$DIR/load" "SLOW_START=$DIR/start")
	export ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}verify_asan_link_order=0"
}

# begin OPTION...: starts one that listens on Unix sockets, and doesn't wait for it.
begin() {
	LOG=$DIR/turnstile-1.log
	exec_turnstile -o "listen.address=unix:$DIR/t.sock" -o "admin.address=unix:$DIR/admin.sock" \
		-o "upstream.url=http://$RELAY" -o log.format=json "$@" 2>"$LOG" >/dev/null 3>&- &
	TURNSTILE_PID=$!
	PROCESSES+=("$TURNSTILE_PID")
}
begun() { wait_for "[[ -S admin.sock ]] || ! running $TURNSTILE_PID" && running "$TURNSTILE_PID"; }
serves() { equal "$(http --unix-socket t.sock -o /dev/null -w '%{http_code}' http://localhost/v1/models)" 200; }

# under CODE: turnstile is started by a Python program that does that first, and becomes it.
under() {
	TURNSTILE_UNDER=(python3 -c "
import os, signal, sys
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
$1
os.execvp(sys.argv[1], sys.argv[1:])")
}

ends_well() {
	kill "$TURNSTILE_PID"
	ended "$TURNSTILE_PID"
	equal "$STATUS" 0
}

@test "signals before it has handlers are heard when it has" {
	slow
	touch start turnstile.ini
	begin --config turnstile.ini
	wait_for '[[ -e start.$TURNSTILE_PID ]]'
	kill -HUP "$TURNSTILE_PID"
	kill -USR2 "$TURNSTILE_PID"
	rm start
	begun
	log_wait '.msg == "reloaded"'
	log_wait '.msg == "no successor is started"'
	serves
	ends_well
}

@test "SIGHUP to a successor that is only just being loaded, or hasn't handlers yet" {
	local when pid
	slow
	touch turnstile.ini
	start_turnstile --config turnstile.ini -o listen.takeover="$DIR/takeover.sock"
	for when in load start; do
		touch $when
		kill -USR2 "$TURNSTILE_PID"
		wait_for "compgen -G '$when.*'"
		if [[ $when == start ]]; then rm -f "start.$TURNSTILE_PID"; fi
		wait_for "compgen -G '$when.*'"
		pid=$(compgen -G "$when.*")
		pid=${pid##*.}
		kill -HUP "$pid"
		rm $when
		ended "$TURNSTILE_PID" # 127 for the second one, which isn't our child
		((STATUS == 0 || STATUS == 127))
		TURNSTILE_PID=$pid
		PROCESSES+=("$pid")
	done
	wait_for "[[ \$(log_lines 'select(.msg == \"took over from the former process\")' | wc -l) == 2 ]]"
	wait_for "[[ \$(log_lines 'select(.msg == \"reloaded\")' | wc -l) == 2 ]]"
	served k1
}

@test "the end of a successor is told with its status" {
	touch turnstile.ini
	start_turnstile --config turnstile.ini -o listen.takeover="$DIR/takeover.sock"
	printf '[queue]\nnonsense = 1\n' >turnstile.ini
	kill -USR2 "$TURNSTILE_PID"
	log_wait '.msg == "the successor has ended" and .status == 2 and .signal == 0'
	served k1
}

@test "a log whose reader has gone" {
	under '
r, w = os.pipe()
os.dup2(w, 1)
os.dup2(w, 2)
os.closerange(3, w + 1)'
	begin -o queue.timeout_ms=300000 # of which it warns
	begun
	serves
	ends_well
	STATUS=0
	run_turnstile --check -o queue.timeout_ms=300000 || STATUS=$?
	equal "$STATUS" 0
}

@test "without descriptors 0 to 2" {
	local fd
	under 'os.closerange(0, 3)'
	touch turnstile.ini
	begin --config turnstile.ini
	begun
	for fd in 0 1 2; do
		equal "$(readlink "/proc/$TURNSTILE_PID/fd/$fd")" /dev/null
	done
	serves
	kill -HUP "$TURNSTILE_PID"
	serves
	ends_well
}

@test "few descriptors: all that may be had are used, and only who asked for more connections is warned" {
	local room warnings='select(.level == "warn") | .msg'
	TURNSTILE_UNDER=(prlimit --nofile=100:300)
	start_turnstile
	equal "$(log_lines "$warnings")" ""
	room=$(log_lines 'select(.msg | test("the limit of open files has room")) | select(.limit == 300) | .connections')
	((room > 90 && room < 150))
	equal "$(metric turnstile_connections_max)" "$room"
	equal "$(metric process_max_fds)" 300
	start_turnstile -o "listen.max_connections=$room"
	equal "$(log_lines "$warnings")" ""
	start_turnstile -o "listen.max_connections=$((room + 1))"
	has 'the limit of open files is too low for listen.max_connections' "$(log_lines "$warnings")"
	equal "$(metric turnstile_connections_max)" "$room"
}

# refused WORDS ARGUMENT...: neither --check nor a start takes that, both say why, at once.
refused() {
	local mode
	for mode in --check -V-; do
		STATUS=0
		timeout "$LIMIT" "$TURNSTILE" ${mode/-V-/} "${@:2}" >said 2>&1 3>&- || STATUS=$?
		equal "$STATUS" 2
		has "$1" "$(cat said)"
	done
}

@test "a configuration is a file, and of a size" {
	mkfifo fifo
	head -c 1100000 /dev/zero | tr '\0' '#' >large
	refused 'fifo: is not a regular file' --config fifo
	refused '/dev/zero: is not a regular file' --config /dev/zero
	refused "$DIR: Is a directory" --config "$DIR"
	refused 'large: is larger than 1 MiB' --config large
	refused 'upstream.ca_file: can'"'"'t be read: is not a regular file' -o upstream.ca_file=fifo
	refused 'is not a regular file' -o listen.tls_cert=fifo -o listen.tls_key=fifo
	refused 'is not a regular file' -o redis.ca_file=/dev/zero
}

@test "SIGHUP while the file is a FIFO: nothing changes, and it can still be ended" {
	printf '[queue]\nmax_waiting = 10\n' >turnstile.ini
	begin --config turnstile.ini
	begun
	rm turnstile.ini
	mkfifo turnstile.ini
	kill -HUP "$TURNSTILE_PID"
	log_wait '.msg | test("not a regular file")'
	log_wait '.msg | test("not reloaded")'
	serves
	ends_well
}
