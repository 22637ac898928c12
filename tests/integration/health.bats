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

@test "a file that has become wrong makes nobody unhealthy: the process says where it is asked" {
	printf '[admin]\naddress = unix:%s\n' "$DIR/admin.sock" >turnstile.ini
	serving_file
	local broken
	for broken in '[queue]\ndelay_ms = soon\n' '[quue]\n' '\0' '[admin]\naddress = unix:/elsewhere\n' \
		'[admin]\naddress = nonsense\n' '[listen]\ntls_cert = /none\n'; do
		printf "$broken" >turnstile.ini
		health --config turnstile.ini --health
		told 0 out "$DIR/admin.sock answers"
		health --config "$DIR/turnstile.ini" --health=ready
		told 0 out 200
	done
	rm turnstile.ini
	health --config turnstile.ini --health
	told 0 out "$DIR/admin.sock answers"
	crash_turnstile
	health --config turnstile.ini --health
	told 1 err refused
}
# serving_file: a process that has its admin.address from turnstile.ini.
serving_file() {
	local url=http://$RELAY
	LOG=$DIR/turnstile-$((++STARTED)).log
	exec_turnstile --config turnstile.ini -o listen.address=127.0.0.1:0 -o "upstream.url=$url" \
		-o log.format=json "$@" 2>"$LOG" 3>&- &
	TURNSTILE_PID=$!
	PROCESSES+=("$TURNSTILE_PID")
	log_wait '.msg == "listening"'
}

# notes: the codes and details of what /readyz notes.
notes() { http --unix-socket admin.sock http://localhost/readyz | jq -r '.status + (.notes[] | " \(.code) \(.detail)")'; }

@test "that the file on disk isn't what runs is told, and makes nobody unready" {
	printf '[admin]\naddress = unix:%s\n' "$DIR/admin.sock" >turnstile.ini
	serving_file
	equal "$(http --unix-socket admin.sock http://localhost/readyz)" '{"status":"ready","reasons":[],"notes":[]}'
	printf '[queue]\ndelay_ms = soon\n' >turnstile.ini
	becomes "ready config_differs the file on disk isn't what runs and has errors; a start would fail" notes
	kill -HUP "$TURNSTILE_PID"
	log_wait '.msg | startswith("not reloaded")'
	becomes "ready config_differs the file on disk isn't what runs and has errors; a start would fail" notes
	printf '[admin]\naddress = unix:%s\n[log]\nlevel = debug\n' "$DIR/admin.sock" >turnstile.ini
	becomes "ready config_differs the file on disk isn't what runs; SIGHUP reads it" notes
	kill -HUP "$TURNSTILE_PID"
	becomes '' notes
	mv turnstile.ini other.ini
	becomes "ready config_differs the file that runs can't be read any more; a start would fail" notes
	mv other.ini turnstile.ini
	becomes '' notes
	touch turnstile.ini
	log_wait '.msg == "the file on disk is what runs"'
	equal "$(log_lines 'select(.msg | test("disk isn.t")) | .msg' | wc -l)" 2
}

@test "without the process, the file still says where, whatever else is wrong in it" {
	start_turnstile -o "admin.address=unix:$DIR/admin.sock"
	printf '[queue]\ndelay_ms = soon\n[admin]\naddress = unix:%s\n' "$DIR/admin.sock" >turnstile.ini
	health --config turnstile.ini --health
	told 0 out "$DIR/admin.sock answers"
	TURNSTILE_ENV=(TURNSTILE_QUEUE_DELAY_MS=soon "TURNSTILE_ADMIN_ADDRESS=unix:$DIR/admin.sock")
	health --config none.ini --health
	told 0 out "$DIR/admin.sock answers"
	printf '[admin]\naddress = nonsense\n' >turnstile.ini
	TURNSTILE_ENV=()
	health --config turnstile.ini --health
	told 1 err 'turnstile.ini:2: admin.address: has no port'
}

@test "in a container: no --config in the health check, a port that only the process knows, and a file that changed" {
	command -v unshare >/dev/null && unshare -rUpf --mount-proc true 2>/dev/null || skip "no user namespaces"
	printf '[admin]\naddress = 127.0.0.1:0\n' >turnstile.ini
	TURNSTILE_UNDER=(unshare -rUpf --mount-proc --kill-child)
	serving_file
	local inner
	inner=$(pgrep -P "$TURNSTILE_PID")
	TURNSTILE_UNDER=(nsenter -t "$inner" -U -p -m --preserve-credentials)
	echo nonsense >turnstile.ini
	health --health
	told 0 out 'answers /healthz with 200'
	kill "$inner"
	ended "$TURNSTILE_PID"
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
