#!/usr/bin/env bats
# turnstile --health: one line and one status, always within its limit.
load helpers

setup() {
	prepare
	start_relay
}
teardown() { clean_up; }

# health ARGUMENT...: sets STATUS; what it said is in out and err.
health() {
	STATUS=0
	run_turnstile "$@" >out 2>err 3>&- || STATUS=$?
}
# told STATUS FILE TEXT: that status, and one line that is in FILE and has TEXT.
told() {
	equal "$STATUS" "$1"
	equal "$(cat out err | wc -l)" 1
	has "$3" "$(cat "$2")"
}

@test "alive: 0, with a token, over IPv4, IPv6 and a Unix socket" {
	start_turnstile -o admin.token=0123456789abcdef
	health --health -o "admin.address=${ADMIN#http://}" -o admin.token=0123456789abcdef
	told 0 out 'answers /healthz with 200'
	start_turnstile -o "admin.address=unix:$DIR/admin.sock"
	health --health -o "admin.address=unix:$DIR/admin.sock"
	told 0 out 200
	start_turnstile -o 'admin.address=[::1]:0'
	health --health -o "admin.address=${ADMIN#http://}"
	told 0 out 200
}

@test "the address comes from the same sources: a file, the environment" {
	start_turnstile -o "admin.address=unix:$DIR/admin.sock"
	printf '[admin]\naddress = unix:%s\n' "$DIR/admin.sock" >turnstile.ini
	health --config turnstile.ini --health
	told 0 out "$DIR/admin.sock"
	TURNSTILE_ENV=("TURNSTILE_ADMIN_ADDRESS=unix:$DIR/admin.sock")
	health --health
	told 0 out "$DIR/admin.sock"
}

@test "nobody there, nobody to ask, no known port, a bad configuration: 1" {
	health --health -o "admin.address=unix:$DIR/nobody.sock"
	told 1 err 'No such file'
	start_turnstile
	stop_turnstile
	health --health -o "admin.address=${ADMIN#http://}"
	told 1 err refused
	health --health -o admin.address=
	told 1 err empty
	health --health -o admin.address=127.0.0.1:0
	told 1 err 'port 0'
	health --health -o admin.address=nonsense
	told 1 err admin.address
	health --health=perhaps
	equal "$STATUS" 2
}

@test "a process whose loop is stuck: 1, within the limit" {
	local start=$SECONDS
	start_turnstile
	kill -STOP "$TURNSTILE_PID"
	health --health -o "admin.address=${ADMIN#http://}"
	kill -CONT "$TURNSTILE_PID"
	told 1 err 'no answer within 2 s'
	((SECONDS - start < $(scaled 10)))
}

@test "something that isn't turnstile: 1" {
	socat "UNIX-LISTEN:$DIR/other.sock,fork" SYSTEM:'echo hello' 3>&- &
	PROCESSES+=("$!")
	wait_for '[[ -S other.sock ]]'
	health --health -o "admin.address=unix:$DIR/other.sock"
	told 1 err 'with 0'
}

@test "without Redis it is alive, but not ready" {
	REDIS_URL=redis://127.0.0.1:1
	start_turnstile
	health --health -o "admin.address=${ADMIN#http://}"
	told 0 out 200
	health --health=ready -o "admin.address=${ADMIN#http://}"
	told 1 err backend_down
}
