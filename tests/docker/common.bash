# common.bash - what run and deploy share: where they are, what they say, how they end.

DIR=$WORK CLIENTS=() REDIS_URL='' LIMIT=20 RELAY='' STEP='' STEP_AT=$SECONDS OWN_ENGINE=''
PROJECT=$WORK/project
source tests/integration/helpers.bash
source tests/docker/engine.bash
source tests/docker/checks.bash
# Nothing is built here that could measure how slow it is, and nothing here is short.
scaled() { echo $((10 * $1)); }
unset http_proxy https_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY all_proxy

skip() {
	echo "SKIPPED: the image, the compose project and all that is deployed with them: $1"
	exit 77
}

# step TEXT: what comes next; the time of the one before is printed.
step() {
	[[ -z $STEP ]] || printf '%4d s  %s\n' $((SECONDS - STEP_AT)) "$STEP"
	STEP=$1 STEP_AT=$SECONDS
}

trap 'echo "line $LINENO of ${BASH_SOURCE[0]}: $BASH_COMMAND" >&2' ERR
trap 'exit 1' INT TERM
