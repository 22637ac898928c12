#!/bin/sh
# A status line for Claude Code: where your requests stand in turnstile's line. It gets a JSON object with the
# session's id on stdin (https://code.claude.com/docs/en/statusline) and prints one line.
# TURNSTILE_URL is where turnstile is, if that isn't ANTHROPIC_BASE_URL.
url=${TURNSTILE_URL:-$ANTHROPIC_BASE_URL}
session=$(tr ',{' '\n\n' | sed -n 's/^[[:space:]]*"session_id"[[:space:]]*:[[:space:]]*"\([A-Za-z0-9._-]*\)".*/\1/p' | head -n 1)

# Your key finds you behind several turnstiles. It isn't an argument, as these are anybody's to see.
credential() {
	if [ -n "${ANTHROPIC_AUTH_TOKEN:-}" ]; then
		printf 'Authorization: Bearer %s\n' "$ANTHROPIC_AUTH_TOKEN"
	elif [ -n "${ANTHROPIC_API_KEY:-}" ]; then
		printf 'X-Api-Key: %s\n' "$ANTHROPIC_API_KEY"
	fi
}

credential | curl -sf -m 1 -H @- -H 'Accept: text/plain' "${url%/}LINE_PATH?session=$session" ||
	echo 'turnstile does not answer'
