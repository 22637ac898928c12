#!/usr/bin/env bats
# TLS to Redis: rediss://, where this build has it (hiredis 1.0 or later); else the clear error.
load helpers
load cluster

setup() {
	prepare
	start_relay
	certificates
}
teardown() { clean_up; }

# certificates: an authority, a server's certificate for localhost, a client's; and another authority.
certificates() {
	local name
	for name in ca other; do
		openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj "/CN=$name" \
			-keyout "$name.key" -out "$name.crt" 2>/dev/null
	done
	for name in server client; do
		openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$name" -keyout "$name.key" \
			-out "$name.csr" 2>/dev/null
		openssl x509 -req -in "$name.csr" -CA ca.crt -CAkey ca.key -CAcreateserial -days 1 -out "$name.crt" \
			-extfile <(echo 'subjectAltName=DNS:localhost') 2>/dev/null
	done
}

# start_tls_redis [ARGUMENT...]: only with TLS; REDIS_TLS_PORT.
start_tls_redis() {
	local try PORT
	for try in {1..20}; do
		new_port
		REDIS_TLS_PORT=$PORT
		rm -f "$DIR/redis.out"
		redis-server --port 0 --tls-port "$REDIS_TLS_PORT" --bind 127.0.0.1 -::1 --save '' --tls-cert-file server.crt \
			--tls-key-file server.key --tls-ca-cert-file ca.crt "$@" >"$DIR/redis.out" 2>&1 3>&- &
		REDIS_PID=$!
		wait_for "grep -qs 'Ready to accept connections' '$DIR/redis.out' || ! running $REDIS_PID"
		if running "$REDIS_PID"; then
			PROCESSES+=("$REDIS_PID")
			REDIS_URL=rediss://localhost:$REDIS_TLS_PORT
			return
		fi
	done
	cat "$DIR/redis.out" >&2
	return 1
}

redis() { redis-cli --tls --cacert ca.crt --cert client.crt --key client.key -p "$REDIS_TLS_PORT" "$@"; }

# start_or_say [OPTION...]: a build without TLS must say so and end; then the test is over.
start_or_say() {
	start_turnstile "$@" 2>error && return
	has "this build has no TLS to Redis" "$(cat error)"
	ended "$TURNSTILE_PID"
	equal "$STATUS" 2
	skip "hiredis without TLS; it says so"
}

# start_stunnel LINE...: a client of TLS in between, as config/README.md has it; REDIS_URL is its own.
start_stunnel() {
	local PORT
	command -v stunnel >/dev/null || skip "stunnel isn't installed"
	new_port
	printf '%s\n' 'foreground = yes' 'pid =' '[redis]' 'client = yes' "accept = 127.0.0.1:$PORT" \
		"connect = localhost:$REDIS_TLS_PORT" 'verifyChain = yes' 'CAfile = ca.crt' "$@" >stunnel.conf
	stunnel stunnel.conf >stunnel.out 2>&1 3>&- &
	PROCESSES+=("$!")
	wait_for "grep -q 'Configuration successful' stunnel.out || ! running $!"
	REDIS_URL=redis://127.0.0.1:$PORT
}

@test "stunnel in between, where hiredis has no TLS" {
	start_tls_redis
	start_stunnel 'checkHost = localhost' 'cert = client.crt' 'key = client.key'
	start_turnstile
	turn a k1
	hands_on a b k1
}

@test "stunnel refuses a server of another name" {
	start_tls_redis
	start_stunnel 'checkHost = redis.example' 'cert = client.crt' 'key = client.key'
	start_turnstile
	equal "$(ask k1 -o /dev/null -w '%{http_code}')" 503
	grep -q 'Subject checks failed' stunnel.out
}

@test "rediss:// with a CA file" {
	start_tls_redis --tls-auth-clients no
	start_or_say -o "redis.ca_file=$DIR/ca.crt"
	wait_for 'served k0'
	turn a k1
	equal "$(redis exists "user_msg_queue_lock:$(key_account k1)")" 1
	ask_later b k1
	in_line b k1 1
	(($(redis client list | grep -c turnstile) >= 2))
	local alive
	alive=$(redis zrange "user_msg_queue_alive:$(key_account k1)" 0 -1 withscores)
	# touches by the keeper, over TLS as well
	wait_for "[[ \$(redis zrange user_msg_queue_alive:$(key_account k1) 0 -1 withscores) != '$alive' ]]"
	equal "$(redis zcard "user_msg_queue_wait:$(key_account k1)")" 1
	hang_up a
	await b
	equal "$(outcome b)" "200 0"
	kill -STOP "$REDIS_PID"
	equal "$(ask k2 -o /dev/null -w '%{http_code}' --max-time "$(scaled 6)")" 503
	kill -CONT "$REDIS_PID"
	wait_for 'served k2'
}

@test "a certificate by a stranger is refused" {
	start_tls_redis --tls-auth-clients no
	start_or_say -o "redis.ca_file=$DIR/other.crt"
	log_wait '(.cause // "") | test("certificate")'
	equal "$(ask k1 -o /dev/null -w '%{http_code}')" 503
}

@test "a certificate for another host is refused" {
	start_tls_redis --tls-auth-clients no
	REDIS_URL=rediss://127.0.0.1:$REDIS_TLS_PORT
	start_or_say -o "redis.ca_file=$DIR/ca.crt"
	log_wait '(.cause // "") | test("IP address mismatch")'
	equal "$(ask k1 -o /dev/null -w '%{http_code}')" 503
}

@test "a client's certificate" {
	start_tls_redis --tls-auth-clients yes
	start_or_say -o "redis.ca_file=$DIR/ca.crt" -o "redis.cert_file=$DIR/client.crt" -o "redis.key_file=$DIR/client.key"
	wait_for 'served k1'
	start_turnstile -o "redis.ca_file=$DIR/ca.crt"
	log_wait '.msg == "redis is unreachable"'
	equal "$(ask k1 -o /dev/null -w '%{http_code}')" 503
}

@test "the nodes of a cluster" {
	REDIS_URL=rediss://localhost:9
	start_or_say -o "redis.ca_file=$DIR/ca.crt"
	stop_turnstile
	CLI=(--tls --cacert "$DIR/ca.crt" --cert "$DIR/client.crt" --key "$DIR/client.key")
	start_cluster --tls-cluster yes --tls-cert-file "$DIR/server.crt" --tls-key-file "$DIR/server.key" \
		--tls-ca-cert-file "$DIR/ca.crt" --tls-replication yes
	REDIS_URL=rediss://localhost:${NODES[0]}
	start_two -o "queue.lock_ttl_ms=$(scaled 1500 5000)" -o "redis.ca_file=$DIR/ca.crt" -o "redis.cert_file=$DIR/client.crt" \
		-o "redis.key_file=$DIR/client.key"
	all_nodes_serve
}

@test "--check says what can't work" {
	echo none >none.crt
	run run_turnstile -o redis.url=rediss://localhost -o redis.ca_file=none.crt --check
	equal "$status" 2
	[[ $output == *"this build has no TLS to Redis"* || $output == *"redis.ca_file: none.crt"* ]]
}
