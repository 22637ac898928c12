#!/usr/bin/env bats
# config/quickstart, in a tree where all is built already: what it finds, asks, tells and starts; and what
# config/install-packages says where there is no Debian.
load helpers

setup() {
	prepare
	TREE=$DIR/tree
	mkdir -p "$TREE/build/src" "$TREE/build/tests" bin
	cp -r "$ROOT/config" "$TREE/"
	touch "$TREE/build/build.ninja"
	ln -s "$TURNSTILE" "$TREE/build/src/turnstile"
	ln -s "$FAKE_RELAY" "$TREE/build/tests/fake_relay"
	ln -s "$(type -P true)" bin/ninja
	printf '#!/bin/sh\nexit 0\n' >"$TREE/config/install-packages"
}
teardown() { clean_up; }

ROOT=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)

# Its environment: the ports of this machine are others'.
with_ports() {
	exec env PATH="$DIR/bin:$PATH" RELAY_PORTS="$PORTS" TURNSTILE_LISTEN_ADDRESS=127.0.0.1:0 \
		TURNSTILE_ADMIN_ADDRESS=127.0.0.1:0 "$@"
}

# on_terminal ANSWER...: quickstart on a terminal, until it serves; then Ctrl-C. What it said is in `told`.
on_terminal() {
	(with_ports "$BATS_TEST_DIRNAME/on_terminal.py" "$LIMIT" ' listening ' "$@" -- "$TREE/config/quickstart") >told ||
		{ cat told >&2; return 1; }
}

# without_terminal ARGUMENT...: the same, ended by SIGTERM.
without_terminal() {
	rm -f told
	with_ports "$TREE/config/quickstart" "$@" >told 2>&1 </dev/null 3>&- &
	QUICKSTART=$!
	PROCESSES+=($QUICKSTART)
	wait_for "grep -q ' listening ' told" || { cat told >&2; return 1; }
	stop_turnstile $QUICKSTART
}

@test "a relay that answers is found, and taken if it is meant; Ctrl-C ends all" {
	start_relay
	PORTS="1 ${RELAY##*:}"
	on_terminal y
	grep -qE "http://$RELAY answers \(.+\)\. Queue in front of it\? \[y/N\]" told
	grep -qF "in front of   http://$RELAY (found on this machine" told
	grep -qF 'for clients   ANTHROPIC_BASE_URL=http://127.0.0.1:0' told
	grep -q 'stop          Ctrl-C' told
	grep -qF "upstream=http://$RELAY" told
	lacks 'fake relay|sk-demo' told
	grep -q ' stopped$' told
}

@test "a relay that isn't meant is left alone: the bundled one is started, and how to try it is told" {
	start_relay
	PORTS=${RELAY##*:}
	on_terminal n
	grep -q 'in front of   http://127.0.0.1:[0-9]* (the bundled fake relay' told
	grep -q "x-api-key: sk-demo" told
	lacks "in front of   http://$RELAY " told
}

@test "nobody is asked where there is no terminal, or an upstream is given" {
	start_relay
	PORTS=${RELAY##*:}
	without_terminal
	grep -q 'the bundled fake relay' told
	lacks 'Queue in front' told
	without_terminal http://127.0.0.1:8080 -o listen.address=127.0.0.1:0
	grep -q 'in front of   http://127.0.0.1:8080 (as given)' told
	grep -q 'upstream.url=http://127.0.0.1:8080 -o listen.address=127.0.0.1:8090' told
	lacks 'Queue in front' told
}

# only COMMAND...: a PATH with these and little more.
only() {
	local tool
	mkdir -p "$DIR/only"
	for tool in sh awk sed dirname uname "$@"; do
		ln -sf "$(type -P $tool || type -P true)" "$DIR/only/$tool"
	done
}

@test "where there is no apt-get, the words of that system are told" {
	cp "$ROOT/config/install-packages" "$ROOT/config/packages" .
	only dnf
	PATH=$DIR/only run sh install-packages build
	equal "$status" 1
	has 'dnf install gcc glibc-devel meson ninja-build' "$output"
	has 'npm install --no-save esbuild dygraphs@' "$output"
	rm only/dnf
	only apk
	PATH=$DIR/only run sh install-packages build
	has 'apk add linux-headers esbuild gcc musl-dev' "$output"
	rm only/apk
	only pacman
	PATH=$DIR/only run sh install-packages build
	has 'pacman -S --needed esbuild gcc meson' "$output"
	equal "$(wc -l <<<"$output")" 3
}
