#!/usr/bin/env bats
# A newly started turnstile takes over from the running one, and nobody is lost; SIGUSR1.
# RESTARTS=10 bats restart.bats restarts ten times in a row; the suite does it three times.
load helpers
load admin

setup() {
	prepare
	start_peers
	RETIRED=()
}
teardown() { clean_up; }

steady() { python3 "$BATS_TEST_DIRNAME/steady.py" "$@"; }

# take_over [OPTION...]: starts one that takes over from the one that runs, if there is one.
take_over() {
	[[ -z $TURNSTILE_PID ]] || RETIRED+=("$TURNSTILE_PID")
	start_turnstile -o listen.takeover="$DIR/takeover.sock" "$@"
}

# begin_load RATE ACCOUNTS HEADER...: in the background, until end_load, which sets RESULT.
begin_load() {
	touch go_on
	steady "$1" go_on "$2" "${URL#http://}" -- "${@:3}" >load.out 2>load.err 3>&- &
	LOAD=$!
	CLIENTS+=("$LOAD")
}
end_load() {
	rm go_on
	wait_for "! running $LOAD" 60
	CLIENTS=()
	cat load.err >&2
	RESULT=$(cat load.out)
	echo "# $BACKEND: $RESULT" >&3
}

# retired: every former process ends by itself, with 0.
retired() {
	local pid
	for pid in "${RETIRED[@]}"; do
		ended "$pid" 30
		equal "$STATUS" 0
	done
	RETIRED=()
}

@test "restarts in a row under 50 requests a second with streams of 2 s lose and refuse none" {
	local i
	take_over
	begin_load 50 0 'X-Relay-Events: 4' 'X-Relay-Interval-Ms: 500'
	relay_wait seen=100
	for ((i = 1; i <= ${RESTARTS:-3}; i++)); do
		take_over -o "listen.idle_timeout_ms=$((5000 + $(scaled 1000)))"
		relay_wait seen=$((100 + i * 60))
	done
	end_load
	equal "$(jq -c '[.sent == .["200"], .reused > 20, .refused, .cut]' <<<"$RESULT")" '[true,true,null,null]'
	retired
}

@test "who waits in the old process gets his turn there" {
	take_over
	turn a k1
	ask_later b k1
	sent b
	ask_later c k1
	sent c
	take_over
	log_wait '.msg == "took over from the former process"'
	running "${RETIRED[0]}"
	hang_up a
	await b c
	equal "$(outcome b) $(outcome c)" "200 0 200 0"
	equal "$(relay_stats .accounts.k1.order)" '["a","b","c"]'
	retired
	served k1
}

@test "with Redis both are in one line, in order of arrival, and no turn overlaps" {
	[[ $BACKEND == redis ]] || skip "in memory each process has a line of its own"
	take_over
	turn a k1
	ask_later b k1
	in_line b k1 1
	take_over
	ask_later c k1
	in_line c k1 2
	running "${RETIRED[0]}"
	hang_up a
	await b c
	equal "$(outcome b) $(outcome c)" "200 0 200 0"
	equal "$(relay_stats .accounts.k1.order)" '["a","b","c"]'
	equal "$(relay_stats .accounts.k1.max_overlap)" 1
	retired
}

@test "at the limit who still waits gets an honest 503, and streams have the time of a drain" {
	take_over -o listen.retire_timeout_ms=300 -o listen.drain_timeout_ms=20000
	held a k1
	ask_later b k1
	sent b
	take_over
	await b
	relay_go
	await a
	equal "$(outcome b)" "503 0"
	has SHUTTING_DOWN "$(cat b.body)"
	[[ -n $(header retry-after b.head) ]]
	equal "$(outcome a)" "200 0"
	retired
}

@test "a successor that fails to start changes nothing" {
	take_over
	local first=$TURNSTILE_PID log=$LOG
	run run_turnstile -o listen.address=127.0.0.1:0 -o admin.address="$RELAY" \
		-o listen.takeover="$DIR/takeover.sock"
	equal "$status" 1
	has "admin.address" "$output"
	wait_for "grep -q 'a successor came' '$log'"
	running "$first"
	served k1
	take_over
	retired
	served k1
}

@test "a successor that fails to start leaves the paths of Unix sockets" {
	take_over -o "listen.address=unix:$DIR/t.sock"
	local log=$LOG
	run run_turnstile -o "listen.address=unix:$DIR/t.sock" -o admin.address="$RELAY" \
		-o listen.takeover="$DIR/takeover.sock"
	equal "$status" 1
	wait_for "grep -q 'a successor came' '$log'"
	equal "$(http --unix-socket t.sock -o /dev/null -w '%{http_code}' http://x/v1/models)" 200
	stop_turnstile
	[[ ! -e t.sock ]]
}

@test "SIGTERM, when a successor has the sockets and doesn't serve yet, leaves it the paths" {
	take_over -o "listen.address=unix:$DIR/t.sock" -o "admin.address=unix:$DIR/a.sock"
	python3 - takeover.sock <<-'END' &
		import socket, sys
		link = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
		link.connect(sys.argv[1])
		link.send(b"turnstile 1 take")
		fds = socket.recv_fds(link, 1024, 4)[1]
		open("taken", "w").write(str(len(fds)))
		link.recv(1)  # until the old process ends
	END
	CLIENTS+=($!)
	wait_for '[[ $(cat taken 2>/dev/null) == 2 ]]'
	stop_turnstile
	equal "$STATUS" 0
	[[ -S t.sock && -S a.sock && ! -e takeover.sock ]]
}

@test "without listen.takeover a second one is told that the port is taken" {
	take_over
	run run_turnstile -o listen.address="${URL#http://}" -o admin.address=
	equal "$status" 1
	has 'in use' "$output"
	served k1
}

@test "both listeners are handed over, and an idle connection is served once more" {
	take_over
	local address=${URL#http://} first=$TURNSTILE_PID admin=$ADMIN url=$URL
	exec {FD}<>"/dev/tcp/${address/:/\/}"
	printf 'GET /v1/models HTTP/1.1\r\nHost: x\r\n\r\n' >&"$FD"
	read -r -t "$LIMIT" line <&"$FD"
	has 'HTTP/1.1 200' "$line"
	take_over
	equal "$URL $ADMIN" "$url $admin"
	local n
	for n in 1 2 3 4 5; do
		equal "$(admin /api/status .pid)" "$TURNSTILE_PID"
	done
	running "$first"
	printf 'GET /v1/models HTTP/1.1\r\nHost: x\r\n\r\n' >&"$FD"
	timeout "$LIMIT" cat <&"$FD" >rest
	has 'HTTP/1.1 200' "$(cat rest)"
	has 'onnection: close' "$(cat rest)"
	exec {FD}>&-
	retired
}

@test "Unix sockets are handed over too, and their paths stay" {
	take_over -o "listen.address=unix:$DIR/t.sock" -o "admin.address=unix:$DIR/a.sock"
	begin_load 50 0
	relay_wait seen=20
	take_over -o "listen.address=unix:$DIR/t.sock" -o "admin.address=unix:$DIR/a.sock"
	relay_wait seen=60
	end_load
	equal "$(jq -c '[.sent == .["200"], .refused, .cut]' <<<"$RESULT")" '[true,null,null]'
	kill -TERM "${RETIRED[0]}" 2>/dev/null || true
	retired
	[[ -S t.sock && -S a.sock && -S takeover.sock ]]
	equal "$(http --unix-socket t.sock -o /dev/null -w '%{http_code}' http://x/v1/models)" 200
	equal "$(stat -c %a takeover.sock)" 600
	stop_turnstile
	[[ ! -e t.sock && ! -e a.sock && ! -e takeover.sock ]]
}

# sockets PID: those that it has, as the kernel numbers them.
sockets() { find "/proc/$1/fd" -lname 'socket:*' -printf '%l\n' | sort; }

@test "SIGUSR2: a successor has the listeners of the one that started it, and no connection to Redis" {
	[[ $BACKEND == redis ]] || skip "in memory there is none"
	start_turnstile -o listen.takeover="$DIR/takeover.sock"
	local first=$TURNSTILE_PID
	turn a k1 # so that the first one stays
	# Its keeper has its connection, too. A later one would get a number that libuv has closed by a system call
	# of its own: ThreadSanitizer, which doesn't see that, would take it for a race.
	wait_for "(( \$(redis client list | grep -vc cmd=client) >= 3 ))"
	sockets "$first" >before
	kill -USR2 "$first"
	log_wait '.msg == "took over from the former process"'
	log_wait '.msg == "starting a successor"'
	sockets "$(log_lines 'select(.msg == "starting a successor").pid')" >after
	equal "$(comm -12 before after | wc -l)" 2
	kill "$(log_lines 'select(.msg == "starting a successor").pid')"
	hang_up a
	ended "$first"
	wait_for "[[ \$(log_lines 'select(.msg == \"stopped\")' | wc -l) == 2 ]]"
}

@test "SIGUSR1: no new connection, but who waits is served" {
	take_over
	turn a k1
	ask_later b k1
	sent b
	kill -USR1 "$TURNSTILE_PID"
	log_wait '.msg | test("retiring")'
	wait_for '[[ $(curl -s -o /dev/null --max-time 1 -w "%{exitcode}" "$URL/v1/models") == 7 ]]'
	equal "$(http -o ready -w '%{http_code}' "$ADMIN/readyz")" 503
	has draining "$(cat ready)"
	kill -USR2 "$TURNSTILE_PID"
	log_wait '.msg == "no successor is started" and .why == "this process is ending"'
	hang_up a
	await b
	equal "$(outcome b)" "200 0"
	ended "$TURNSTILE_PID"
	equal "$STATUS" 0
}

@test "a signal while it stops already changes nothing" {
	local i
	[[ $BACKEND == redis ]] || skip "in memory, stopping takes no time"
	take_over
	turn a k1
	kill -USR1 "$TURNSTILE_PID"
	log_wait '.msg | test("retiring")'
	redis client pause 1500 all # so it waits for the turn to be given back
	hang_up a
	exchange_wait true
	for i in 1 2 3; do
		kill -TERM "$TURNSTILE_PID"
	done
	ended "$TURNSTILE_PID"
	equal "$STATUS" 0
}

@test "SIGTERM hurries one that retires" {
	take_over
	turn a k1
	ask_later b k1
	sent b
	take_over
	kill -TERM "${RETIRED[0]}"
	await b
	equal "$(outcome b)" "503 0"
	hang_up a
	retired
}
