#!/usr/bin/env bats
# Unix sockets in place of ports, on both sides.
load helpers

setup() {
	prepare
	start_relay
	export DIR
	SOCKET=$DIR/turnstile.sock
}
teardown() { clean_up; }

# start_unix [OPTION...]: listens at $SOCKET.
start_unix() {
	start_turnstile -o "listen.address=unix:$SOCKET" "$@"
	URL=http://localhost
}
over() { http --unix-socket "$SOCKET" "$@"; }

# has_read NAME: as sent, over the socket.
has_read() {
	local size=SIZE_$1
	wait_for "awk '/^=> Send data, / {n += \$4} END {exit n < ${!size}}' '$1.error'" && over -o /dev/null "$URL/v1/models"
}

# refused OPTION...: a start that must fail, in time.
refused() {
	run timeout "$LIMIT" bash -c "$(declare -f exec_turnstile); exec_turnstile \"\$@\"" - "$@"
	equal "$status" 1
}

# relay_at PATH: the relay is there, too.
relay_at() {
	socat "UNIX-LISTEN:$1,fork" "TCP:$RELAY" 2>/dev/null 3>&- &
	PROCESSES+=($!)
	wait_for "[[ -S $1 ]]"
}

@test "user messages wait and stream between two Unix sockets, without any port" {
	relay_at relay.sock
	start_unix -o upstream.url=http://relay.example/prefix -o "upstream.unix_socket=$DIR/relay.sock" -o admin.address=
	turn a k1 --unix-socket "$SOCKET"
	ask_later b k1 --unix-socket "$SOCKET"
	has_read b
	hang_up a
	await b
	equal "$(outcome b)" "200 0"
	has message_stop "$(cat b.body)"
	exchange_wait '.client == "" and .position == 1'
	over "$URL/echo" >echo
	equal "$(jq -r .request_line echo)" 'GET /prefix/echo HTTP/1.1'
	has '"Host: relay.example"' "$(jq -c .headers echo)"
}

@test "a relay's socket that isn't there is a 502, and used when it is" {
	start_unix -o "upstream.unix_socket=$DIR/relay.sock"
	equal "$(over -o answer -w '%{http_code}' "$URL/v1/models")" 502
	relay_at relay.sock
	equal "$(over -o answer -w '%{http_code}' "$URL/v1/models")" 200
}

@test "a client that hangs up while waiting is seen over a Unix socket" {
	start_unix
	turn a k1 --unix-socket "$SOCKET"
	ask_later b k1 --unix-socket "$SOCKET"
	has_read b
	hang_up b
	exchange_wait '.outcome == "client_gone" and .position == 1'
	hang_up a
}

@test "the path goes at the end; one left over by a crash is replaced; one in use is not" {
	start_unix
	crash_turnstile
	[[ -S $SOCKET ]]
	start_unix
	equal "$(over -o /dev/null -w '%{http_code}' "$URL/v1/models")" 200
	refused -o "listen.address=unix:$SOCKET" -o admin.address=
	has 'in use' "$output"
	equal "$(over -o /dev/null -w '%{http_code}' "$URL/v1/models")" 200
	stop_turnstile
	[[ ! -e $SOCKET ]]
}

@test "a file that is no socket is never removed" {
	echo precious >file
	refused -o "listen.address=unix:$DIR/file" -o admin.address=
	has 'in use' "$output"
	refused -o listen.address=127.0.0.1:0 -o admin.address= -o "listen.takeover=$DIR/file"
	has 'listen.takeover' "$output"
	equal "$(cat file)" precious
}

@test "who may connect is the umask's to say" {
	umask 0007
	start_unix
	equal "$(stat -c %a "$SOCKET")" 770
}
