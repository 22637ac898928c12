#!/usr/bin/env bats
# TLS on the listener: everything that works without must work with it; certificates and their reload.
load helpers
load admin

setup() {
	prepare
	start_peers
	certificate ca-1 one
}
teardown() { clean_up; }

# certificate CA NAME: an authority of that name, and NAME.crt and NAME.key for localhost.
certificate() {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj "/CN=$1" \
		-keyout "$1.key" -out "$1.crt" 2>/dev/null
	openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$2" -keyout "$2.key" -out "$2.csr" \
		2>/dev/null
	openssl x509 -req -in "$2.csr" -CA "$1.crt" -CAkey "$1.key" -CAcreateserial -days 1 -out "$2.crt" \
		-extfile <(echo 'subjectAltName=DNS:localhost,IP:127.0.0.1') 2>/dev/null
}

# start_https [OPTION...]: URL is https, and curl trusts ca-1.
start_https() {
	start_turnstile -o "listen.tls_cert=$DIR/one.crt" -o "listen.tls_key=$DIR/one.key" "$@"
	URL=https://${URL#http://}
	export CURL_CA_BUNDLE=$DIR/ca-1.crt
}

# raw: standard input through TLS, printed; -quiet keeps the connection until the other side ends it.
raw() { openssl s_client -quiet -verify_return_error -CAfile ca-1.crt -connect "${URL#https://}" "$@" 2>raw.err; }

@test "a user message waits, gets its stream, and connections are kept" {
	start_https
	turn a k1
	ask_later b k1
	sent b
	hang_up a
	await b
	equal "$(outcome b)" "200 0"
	has message_stop "$(cat b.body)"
	exchange_wait '.outcome == "answered" and .client == "127.0.0.1" and .position == 1'
	equal "$(http -o /dev/null -o /dev/null -w '%{num_connects} %{http_code} ' "$URL/v1/models" "$URL/v1/models")" \
		"1 200 0 200 "
}

@test "the upstream hears that it was https, but for what a client says itself" {
	start_https
	has '"X-Forwarded-Proto: https"' "$(http "$URL/echo")"
	has '"X-Forwarded-Proto: http"' "$(http -H 'X-Forwarded-Proto: http' "$URL/echo")"
}

@test "who hangs up while waiting never reaches the upstream" {
	start_https
	turn a k1
	ask_later b k1
	sent b
	hang_up b
	exchange_wait '.outcome == "client_gone" and .position == 1'
	hang_up a
	served k1
	equal "$(relay_stats '.accounts.k1.order | length')" 2
}

@test "large bodies and large responses, byte for byte" {
	start_https
	head -c 5000000 /dev/urandom >large
	equal "$(http --data-binary @large "$URL/echo" | jq -r .body_sha256)" "$(sha256sum <large | cut -d' ' -f1)"
	equal "$(http -H 'X-Relay-Bytes: 20000000' "$URL/v1/models" | sha256sum)" \
		"$(yes 123456789 | head -c 20000000 | sha256sum)"
	equal "$(http --limit-rate 3M -H 'X-Relay-Bytes: 3000000' -H 'X-Relay-Framing: chunked' "$URL/v1/models" | wc -c)" 3000000
}

@test "413 while the body still comes, from us and from the upstream" {
	start_https -o listen.max_body_bytes=100KiB
	head -c 30000000 /dev/zero >large
	STATUS=$(BODY=large ask k1 -o answer -w '%{http_code}' --limit-rate 20M || true)
	equal "$STATUS" 413
	has request_too_large "$(cat answer)"
	STATUS=$(http -H 'X-Relay-Fault: early-413' --data-binary @large -o answer -w '%{http_code}' "$URL/echo" || true)
	equal "$STATUS" 413
}

@test "a response that is cut never looks complete, whatever its framing" {
	start_https
	local version
	for version in 1.1 1.0; do
		equal "$(ask k1 --http"$version" -o /dev/null -w '%{exitcode}' -H 'X-Relay-Fault: cut-body' \
			-H 'X-Relay-Cut-After: 3' | sed 's/^\(18\|56\)$/cut/')" cut
	done
	equal "$(ask k1 --http1.0 -o whole -w '%{exitcode}')" 0
	has message_stop "$(cat whole)"
}

@test "a client that doesn't read stalls, and its turn is the next one's" {
	start_https -o "listen.stall_timeout_ms=$(scaled 500 5000)"
	ask_later a k1 -H 'X-Relay-Bytes: 100000000' --limit-rate 100k
	relay_wait tag=a phase=headers
	kill -STOP "$PID_a"
	exchange_wait '.outcome == "client_stalled"'
	served k1
	wait_for '[[ $(metric turnstile_connections) == 0 ]]'
	kill -CONT "$PID_a"
	hang_up a
}

@test "TLS 1.2 and 1.3 only, with forward secrecy; http/1.1 is chosen" {
	start_https
	equal "$(http --tls-max 1.2 -o /dev/null -w '%{http_code}' "$URL/v1/models")" 200
	equal "$(http --tlsv1.3 -o /dev/null -w '%{http_code}' "$URL/v1/models")" 200
	raw -tls1_1 -cipher ALL:@SECLEVEL=0 </dev/null && return 1
	raw -tls1_2 -cipher AES128-SHA256:AES128-GCM-SHA256 </dev/null && return 1
	openssl s_client -alpn h2,http/1.1 -connect "${URL#https://}" </dev/null >alpn 2>&1
	has 'ALPN protocol: http/1.1' "$(cat alpn)"
	wait_for '(( $(metric turnstile_tls_failures_total) >= 2 ))'
	(($(metric turnstile_tls_handshakes_total) >= 3))
}

@test "a head that only looks well-formed is refused, with TLS as without" {
	start_https
	printf 'GET /v1/models HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n' | raw >good
	has 'HTTP/1.1 200' "$(head -n 1 good)"
	printf 'GET /v1/models HTTP/1.1\r\nHost: h\r\nX-A: 1\0\nConnection: close\r\n\r\n' | raw >bad
	has 'HTTP/1.1 400' "$(head -n 1 bad)"
	equal "$(relay_stats '[.requests[] | select(.target == "/v1/models")] | length')" 1
}

@test "plain HTTP on the port is told so" {
	start_https
	equal "$(curl -s --noproxy '*' -o answer -w '%{http_code}' "http://${URL#https://}/v1/models")" 400
	equal "$(jq -r .error.message answer)" 'this port speaks TLS: write https://'
}

@test "who connects and says nothing, or stops in the handshake, is closed in time" {
	start_https -o listen.header_timeout_ms=300
	local address=${URL#https://}
	exec {FD}<>"/dev/tcp/${address/:/\/}"
	printf '\x16\x03\x01' >&"$FD"
	timeout "$LIMIT" cat <&"$FD" >/dev/null
	exec {FD}>&-
	wait_for '[[ $(metric turnstile_connections) == 0 ]]'
	equal "$(metric turnstile_tls_failures_total)" 1
	python3 - "${address/:*/}" "${address/*:/}" <<-'END'
		import socket, struct, sys
		s = socket.create_connection((sys.argv[1], int(sys.argv[2])))
		s.send(b"\x16\x03\x01")
		s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
		s.close()  # by a reset
	END
	wait_for '[[ $(metric turnstile_tls_failures_total) == 2 ]]'
	stop_turnstile
	equal "$STATUS" 0
}

@test "one connection too many from an address is closed without a word in the clear" {
	start_https -o listen.max_connections_per_address=1
	turn a k1
	local address=${URL#https://}
	exec {FD}<>"/dev/tcp/${address/:/\/}"
	equal "$(timeout "$LIMIT" cat <&"$FD" | wc -c)" 0
	exec {FD}>&-
	equal "$(metric turnstile_connections_refused_total)" 1
	hang_up a
	served k2
}

@test "SIGHUP: a new certificate for new connections; one that is wrong keeps the old" {
	start_https
	turn a k1
	certificate ca-2 one
	kill -HUP "$TURNSTILE_PID"
	log_wait '.msg == "reloaded"'
	run http "$URL/v1/models"
	equal "$status" 60
	equal "$(http --cacert ca-2.crt -o /dev/null -w '%{http_code}' "$URL/v1/models")" 200
	echo nonsense >one.crt
	kill -HUP "$TURNSTILE_PID"
	log_wait '.msg | test("not reloaded")'
	has "listen.tls_cert: $DIR/one.crt" "$(cat "$LOG")"
	equal "$(http --cacert ca-2.crt -o /dev/null -w '%{http_code}' "$URL/v1/models")" 200
	hang_up a
}

@test "SIGHUP can't switch TLS on or off" {
	printf '[listen]\ntls_cert = one.crt\ntls_key = one.key\n' >turnstile.ini
	start_turnstile --config turnstile.ini
	echo >turnstile.ini
	kill -HUP "$TURNSTILE_PID"
	log_wait '.msg | test("switched on or off")'
	equal "$(http --cacert ca-1.crt -o /dev/null -w '%{http_code}' "https://${URL#http://}/v1/models")" 200
}

@test "wrong files are named at the start, and by --check" {
	certificate ca-2 two
	openssl rsa -aes128 -passout pass:x -in <(openssl genrsa 2048 2>/dev/null) -out locked.key 2>/dev/null
	try() {
		run run_turnstile -o "listen.tls_cert=$1" -o "listen.tls_key=$2" --check
		equal "$status" 2
		has "$3" "$output"
		run run_turnstile -o listen.address=127.0.0.1:0 -o admin.address= -o "listen.tls_cert=$1" -o "listen.tls_key=$2"
		((status != 0))
		has "$3" "$output"
	}
	try one.crt '' listen.tls_key
	try one.crt two.key 'listen.tls_key: two.key: key values mismatch'
	try one.key one.key 'listen.tls_cert: one.key'
	try one.crt one.crt 'listen.tls_key: one.crt'
	try one.crt locked.key 'listen.tls_key: locked.key'
	try one.crt nowhere.key 'listen.tls_key: '
}

@test "a drain waits for streams over TLS, and a takeover loses none" {
	start_https -o listen.takeover="$DIR/takeover.sock"
	local first=$TURNSTILE_PID
	held a k1
	start_https -o listen.takeover="$DIR/takeover.sock"
	served k2
	relay_go
	await a
	equal "$(outcome a)" "200 0"
	ended "$first"
	equal "$STATUS" 0
	held b k1
	kill "$TURNSTILE_PID"
	log_wait '.msg == "draining"'
	relay_go
	ended "$TURNSTILE_PID"
	await b
	equal "$(outcome b)" "200 0"
}

@test "hundreds at once, and nothing is left behind" {
	start_https
	local fds n urls=()
	served k1
	fds=$(ls "/proc/$TURNSTILE_PID/fd" | wc -l)
	for n in {1..200}; do
		urls+=(-o /dev/null "$URL/v1/models")
	done
	equal "$(http -Z --parallel-max 100 -H 'Connection: close' -w '%{http_code}\n' "${urls[@]}" | sort | uniq -c | xargs)" "200 200"
	wait_for '[[ $(metric turnstile_connections) == 0 ]]'
	wait_for "(( \$(ls /proc/$TURNSTILE_PID/fd | wc -l) <= $fds + 100 ))"
}

# cpu_ticks PID: what it has used until now.
cpu_ticks() { awk '{ sub(/.*\) /, ""); print $12 + $13 }' "/proc/$1/stat"; }

complaints() { grep -c "can't accept connections" "$LOG"; }
silent_ones_leave() {
	local fd
	for fd in "${SILENT[@]}"; do
		exec {fd}>&-
	done
}

@test "out of descriptors: who comes waits outside, isn't thrown out, and is served later" {
	start_https
	prlimit --pid "$TURNSTILE_PID" --nofile=60
	local fd i before address=${URL#https://} begin=$SECONDS SILENT=()
	for i in {1..40}; do
		exec {fd}<>"/dev/tcp/${address%:*}/${address##*:}"
		SILENT+=("$fd")
	done
	wait_for "[[ \$(complaints) -gt 0 ]]"
	before=$(cpu_ticks "$TURNSTILE_PID")
	(silent_ones_leave && http -o later -w '%{http_code}' "$URL/v1/models" >later.status) 3>&- &
	CLIENTS+=($!)
	rest 1500 # what it does meanwhile is the subject
	(($(cpu_ticks "$TURNSTILE_PID") - before < 30))
	(($(complaints) <= 3 + SECONDS - begin))
	for fd in "${SILENT[@]}"; do
		if read -r -t 0 -u "$fd"; then
			echo "one was thrown out" >&2
			return 1
		fi
	done
	running "${CLIENTS[-1]}"
	silent_ones_leave
	wait "${CLIENTS[-1]}"
	unset 'CLIENTS[-1]'
	equal "$(cat later.status)" 200
}
