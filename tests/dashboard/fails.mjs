/*
 * fails.mjs - not a part of the suite: a run of which a case fails, and leaves all that one can leave. See ends.mjs.
 */
import assert from 'node:assert/strict';
import http from 'node:http';
import { after, test } from 'node:test';
import { hold, json, startRelay, startTurnstile, stop, stopAll } from './fleet.mjs';

after(async () => {
	assert.deepEqual(await stopAll(), []);
});

test('fails in the middle', async () => {
	const relay = await startRelay(), turnstile = await startTurnstile('left', { relay, options: { 'listen.drain_timeout_ms': 3600000 } });
	console.log(`processes: ${relay.pid} ${turnstile.pid}`);
	await hold(turnstile, relay, 'left', 'left-0');
	http.createServer(() => {}).listen(0, '127.0.0.1');
	stop(turnstile).catch(() => {});
	turnstile.kill('SIGSTOP');
	await assert.rejects(json(`http://${relay.address}/__relay/nothing`), /: 400 /);
	assert.fail('as it is to');
});
