#!/usr/bin/env bats
# What --check warns of, and a start as well; and what it doesn't warn of.
load helpers

setup() { prepare; }
teardown() { clean_up; }

# checked OPTION...: --check is fine with them, says so in one line; its warnings are in err.
checked() {
	local o options=()
	for o; do
		options+=(-o "$o")
	done
	run_turnstile --check "${options[@]}" >out 2>err
	equal "$(wc -l <out)" 1
	has 'configuration is fine' "$(cat out)"
}
# warns TEXT OPTION..., quiet OPTION...
warns() {
	checked "${@:2}"
	has "warning: $1" "$(cat err)"
	equal "$(wc -l <err)" 1
	has 'but for the warnings' "$(cat out)"
}
quiet() {
	checked "$@"
	equal "$(cat err)" ""
}

@test "nothing to say of the defaults" {
	quiet redis.instance=web1
	quiet redis.instance=web1 redis.url=redis://localhost
	quiet redis.instance=web1 queue.turns=3
	quiet redis.instance=web1 redis.url=redis://localhost queue.turns=3
}

@test "an upstream.url with the API's own path behind it" {
	warns 'upstream.url ends with a part of' upstream.url=http://relay:3000/v1
	warns 'upstream.url ends with a part of' upstream.url=http://relay:3000/api/v1/messages
	quiet upstream.url=http://relay:3000/api
}

@test "an upstream that is turnstile itself" {
	local here
	for here in 127.0.0.1:8080 localhost:8080 '[::1]:8080'; do
		warns 'upstream.url leads to our own listen.address' "upstream.url=http://$here"
	done
	warns 'upstream.url leads to our own admin.address' upstream.url=http://127.0.0.1:8081/x
	warns 'upstream.url leads to our own listen' upstream.url=http://127.0.0.1 listen.address=0.0.0.0:80
	warns 'upstream.url leads to our own listen' upstream.url=http://10.1.1.1:8080 listen.address=10.1.1.1:8080
	warns 'upstream.unix_socket leads to our own listen' listen.address=unix:/tmp/x upstream.unix_socket=/tmp/x
	quiet upstream.url=http://10.1.1.1:8080
	quiet upstream.url=http://127.0.0.1:8080 upstream.proxy=http://10.0.0.1:3128
	quiet upstream.url=http://127.0.0.1:8080 upstream.unix_socket=/tmp/relay.sock
	quiet upstream.url=http://127.0.0.1:1 listen.address=127.0.0.1:0
}

@test "waits beyond the clients' patience" {
	warns 'queue.timeout_ms: Claude Code hangs up after 300 s' queue.timeout_ms=300000 queue.exempt=classifier
	warns 'queue.timeout_ms: Claude Code'"'"'s auto mode' queue.timeout_ms=120000 queue.exempt=title
	quiet queue.timeout_ms=120000
	quiet queue.timeout_ms=300000 queue.mode=observe
	quiet queue.timeout_ms=300000 queue.enabled=false
}

@test "a relay's environment that was shared" {
	TURNSTILE_ENV=(USER_MESSAGE_QUEUE_TIMEOUT_MS=5000)
	warns 'USER_MESSAGE_QUEUE_TIMEOUT_MS is so short' queue.exempt=classifier
	TURNSTILE_ENV=(USER_MESSAGE_QUEUE_ENABLED=false)
	warns 'USER_MESSAGE_QUEUE_ENABLED: nothing queues'
	TURNSTILE_ENV=(USER_MESSAGE_QUEUE_TIMEOUT_MS=5000 TURNSTILE_QUEUE_TIMEOUT_MS=20000)
	quiet queue.exempt=classifier
	TURNSTILE_ENV=(USER_MESSAGE_QUEUE_TIMEOUT_MS=120000 USER_MESSAGE_QUEUE_ENABLED=true)
	quiet queue.exempt=classifier
}

@test "accounts that change their names, or are anybody's to choose" {
	warns 'account.source: subscribers' upstream.url=https://api.anthropic.com
	quiet upstream.url=https://api.anthropic.com account.source=metadata.account_uuid,api-key
	warns 'account.source takes a header' listen.address=0.0.0.0:8080 account.source=header:X-Account,api-key
	quiet listen.address=0.0.0.0:8080 account.source=header:X-Account,api-key account.trusted_proxies=10.0.0.0/8
	quiet account.source=header:X-Account
	warns 'queue.exempt takes a header' listen.address=0.0.0.0:8080 queue.exempt=classifier,header:X-Pass=1
	quiet listen.address=0.0.0.0:8080 queue.exempt=classifier,header:X-Pass=1 account.trusted_proxies=10.0.0.0/8
	quiet queue.exempt=classifier,header:X-Pass=1
}

@test "an instance of the fleet without a name of its own; a certificate that isn't checked" {
	warns 'redis.instance is "0a1b2c3d4e5f"' redis.url=redis://localhost redis.instance=0a1b2c3d4e5f
	warns 'redis.instance is "localhost"' redis.url=redis://localhost redis.instance=localhost
	quiet redis.instance=localhost
	warns 'upstream.tls_verify' upstream.url=https://relay.example upstream.tls_verify=false
	quiet upstream.tls_verify=false
}

@test "variables of another program that is called turnstile: one warning names them, an error only in a section of ours" {
	TURNSTILE_ENV=(TURNSTILE_SITE_KEY=0x4AAA TURNSTILE_SECRET_KEY=s3cret TURNSTILE_NAME=web
		TURNSTILE_PORT=tcp://10.0.0.1:80)
	warns 'TURNSTILE_SITE_KEY, TURNSTILE_SECRET_KEY, TURNSTILE_NAME: ' redis.instance=web1
	lacks s3cret err
	TURNSTILE_ENV=(TURNSTILE_QUUE_DELAY_MS=1 $'TURNSTILE_\e=1')
	warns 'TURNSTILE_QUUE_DELAY_MS (did you mean TURNSTILE_QUEUE_DELAY_MS?), TURNSTILE_\u001b: ' redis.instance=web1
	TURNSTILE_ENV=(TURNSTILE_QUEUE_DELAYMS=1)
	run run_turnstile --check
	equal "$status" 2
	has 'TURNSTILE_QUEUE_DELAYMS: there is no such option; did you mean' "$output"
}

@test "what is wrong is told at once: values, what they have to do with each other, and what is in files" {
	echo nonsense >x.pem
	printf '[quue]\ndelay_ms = soon\n' >turnstile.ini
	run run_turnstile --config turnstile.ini --check -o listen.tls_cert=x.pem -o listen.tls_key=x.pem \
		-o redis.url=rediss://localhost -o redis.ca_file=x.pem -o admin.address=0.0.0.0:1
	equal "$status" 2
	has 'turnstile.ini:1: [quue]: there is no such section' "$output"
	has 'turnstile.ini:2: queue.delay_ms: "soon"' "$output"
	has 'admin.token: is empty' "$output"
	has 'listen.tls_cert: ' "$output"
	has redis. "$output" # the file, or that this build has no TLS to Redis
	equal "${#lines[@]}" 5
}

@test "a Redis that is there is asked whether it may evict locks" {
	local options=(redis.instance=web1 "redis.command_timeout_ms=$(scaled 2000 20000)")
	start_redis
	quiet "${options[@]}" "redis.url=$REDIS_URL"
	redis config set maxmemory-policy allkeys-lru
	warns 'redis.url: its server may evict locks and lines' "${options[@]}" "redis.url=$REDIS_URL"
	has '(allkeys-lru)' "$(cat err)"
	# by its login; one that may not ask is told nothing
	redis acl setuser eye on '>p:w' -@all +@connection
	quiet "${options[@]}" "redis.url=redis://eye:p%3Aw@127.0.0.1:$REDIS_PORT"
	redis acl setuser eye +info
	warns '' "${options[@]}" "redis.url=redis://eye:p%3Aw@127.0.0.1:$REDIS_PORT"
	# one that hangs isn't waited for, and one that isn't there is no fault of the configuration
	kill -STOP "$REDIS_PID"
	quiet redis.instance=web1 redis.command_timeout_ms=300 "redis.url=$REDIS_URL"
	kill -CONT "$REDIS_PID"
	stop_redis
	quiet redis.instance=web1 redis.command_timeout_ms=300 "redis.url=$REDIS_URL"
}

@test "a start warns of the same, in its log" {
	start_relay
	start_turnstile -o queue.timeout_ms=300000
	log_wait '.level == "warn" and (.msg | test("hangs up after 300 s"))'
}
