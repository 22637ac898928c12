/*
 * faults.mjs - Redis down and back, instances killed and stopped: the page says so, and goes on.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { closePage, figures, notice, openPage, rows } from './browser.mjs';
import { ask, hold, lineUp, startTurnstile, stop, until } from './fleet.mjs';
import { browser, fleet, page, relay, restartRedis, rowOf, server, shows } from './stage.mjs';

test('Redis goes down and comes back', async () => {
	await stop(server, 'SIGKILL');
	await shows('that Redis is gone', async () => /Redis can’t be reached|Redis can't be reached/.test(await notice(page)));
	await shows('it at the top', async () => /Redis is down/.test(await page.locator('#facts').textContent()));
	assert.equal((await figures(page, 'tiles')).Waiting.text, '–');
	assert.deepEqual((await rows(page, 'instances')).map((r) => r[0].text), ['web1 (this one)']);
	assert.equal((await ask(fleet[0], 'alpha', 'refused').ended).status, 503);
	await shows('the rejection', async () => (await rows(page, 'rejections'))[0]?.[1].text === 'backend_error');
	await restartRedis();
	await shows('that it is back', async () => await notice(page) === '' && (await rows(page, 'instances')).length === 3);
	assert.equal((await ask(fleet[0], 'alpha', 'served').ended).status, 200);
});

test('an instance is killed, another one stopped', async () => {
	await stop(fleet[2], 'SIGKILL');
	await stop(fleet[1], 'SIGTERM');
	await shows('that it is silent', async () => (await rowOf('instances', 'web3'))?.[1].text === '▲silent');
	await shows('that the other one stopped', async () => (await rowOf('instances', 'web2'))?.[1].text === '○stopped');
	assert.equal((await rowOf('instances', 'web1 (this one)'))[1].text, '●up');
	fleet[1] = await startTurnstile('web2', { redis: server, relay });
	fleet[2] = await startTurnstile('web3', { redis: server, relay });
	await shows('the new ones', async () => (await rows(page, 'instances')).filter((r) => r[1].text === '●up').length === 3);
});

test('this one is killed: the page says so, and is live again when it is back', async () => {
	const own = await startTurnstile('short', { relay });
	const alone = await openPage(browser, own);
	assert.match(await alone.locator('#facts').textContent(), /Memory: this process only/);
	assert.match(await alone.locator('#instances-scope').textContent(), /this process/);
	const holder = await hold(own, relay, 'solo', 'solo-0');
	const second = await lineUp(own, 'solo', 'solo-1', 1);
	await until('memory shows who waits', async () => (await rows(alone, 'accounts'))[0]?.[4].value === '1');
	const port = new URL(own.admin).port;
	await stop(own, 'SIGKILL');
	await Promise.all([holder.ended, second.ended]);
	await until('it says so', async () => /can’t be reached/.test(await notice(alone)));
	const again = await startTurnstile('short', { relay, options: { 'admin.address': `127.0.0.1:${port}` } });
	await until('it is live again', async () => await notice(alone) === '');
	await closePage(alone);
	await stop(again);
});
