# packages.sh - what tests that need npm's packages begin with, in sh. They set $here to their directory, and are in
# the one that the packages go to.

skip() {
	echo "SKIPPED: $1" >&2
	exit 77
}

# get_packages: those of $here/package-lock.json, unless they are there. Their scripts don't run. A registry that can't
# be reached costs minutes at most.
get_packages() {
	command -v npm >/dev/null || skip "npm is not installed (config/install-packages test)"
	cmp -s "$here/package-lock.json" got.json && return
	cp "$here/package.json" "$here/package-lock.json" .
	if ! timeout 300 npm ci --ignore-scripts --no-audit --no-fund --fetch-retries 1 >npm.log 2>&1; then
		cat npm.log >&2
		skip "npm can't get the packages of tests/$(basename "$here")/package-lock.json"
	fi
	cp package-lock.json got.json
}
