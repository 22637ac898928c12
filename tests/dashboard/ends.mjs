/*
 * ends.mjs - the suite itself: where a case fails, the run ends, and so does all that it started.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ends, start, until } from './fleet.mjs';

function lives(pid) {
	try {
		return process.kill(pid, 0);
	} catch {
		return false;
	}
}

test('a run whose case fails in the middle ends, and leaves no process', async () => {
	/* One of them never obeys, so how long that is waited for is how long this takes. */
	const run = start(process.execPath, ['fails.mjs'], 'run', { env: { ...process.env, OBEYS_MS: '500' }, mayFail: true });
	await ends(run, 60000);
	const [, ...pids] = run.log().match(/^processes: (\d+) (\d+)$/m);
	assert.match(run.log(), /^not ok 1 - fails in the middle$/m);
	assert.match(run.log(), /error: 'as it is to'/);
	await until('they are gone', () => !pids.some(lives));
});
