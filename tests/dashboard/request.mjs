/*
 * request.mjs - a request that waits or runs, opened: what its process knows of it, what others know, and what can be
 * copied. With the keyboard alone.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { closePage, figures, focused, isAccessible, openPage, rows, tabTo } from './browser.mjs';
import { accountOf, hold, lineUp, startTurnstile, stop, until } from './fleet.mjs';
import { browser, fleet, relay } from './stage.mjs';

const details = async (p) => Object.fromEntries(Object.entries(await figures(p, 'request-details')).map(([name, { text }]) => [name, text]));

test('a request is opened: what is known of it here, and elsewhere; copied as id and as curl', async () => {
	const held = [await hold(fleet[0], relay, 'opened', 'open-0'), await lineUp(fleet[0], 'opened', 'open-1', 1),
		await lineUp(fleet[1], 'opened', 'open-2', 2)];
	const told = await accountOf(fleet[0], 'opened'), mine = told.waiters[0];
	assert.equal(mine.request.model, 'm');
	assert.deepEqual([mine.request.state, mine.request.path, mine.request.stream], ['waiting', '/v1/messages', true]);
	assert.ok(mine.request.bodyBytes > 50 && Date.now() - Date.parse(mine.request.since) < 600000);
	assert.match(mine.request.requestId, /^req_/);
	assert.ok(told.holder && told.holders[0].request.upstreamRequestId, 'the holder was answered');
	assert.equal(told.waiters[1].request, undefined, 'of another instance');

	const p = await openPage(browser, fleet[0], { hash: '#account=opened' });
	await p.context().grantPermissions(['clipboard-read', 'clipboard-write'], { origin: fleet[0].admin });
	await until('they are there', async () => (await rows(p, 'waiters')).length === 2 && (await rows(p, 'holders')).length === 1);
	const opener = '127.0.0.1: open this request';
	await tabTo(p, opener);
	await p.keyboard.press('Tab');
	await tabTo(p, opener); /* behind the holder, the first in line */
	await p.keyboard.press('Enter');
	assert.equal(await focused(p), 'Close');
	await isAccessible(p, 'a request');
	const shown = await details(p);
	assert.deepEqual([shown.Position, shown.Client, shown.Instance, shown.Model, shown['Size of the body'], shown.Path, shown['Request id'], shown.Ticket],
		['1', '127.0.0.1', 'web1', 'm', `${mine.request.bodyBytes}B`, '/v1/messages', mine.request.requestId, mine.ticket]);
	assert.match(shown.Since, /^\d\d:\d\d:\d\d, .+ ago$/);
	const copied = () => p.evaluate(() => navigator.clipboard.readText());
	await p.locator('#request-copy-id').click();
	await until('the id is copied', async () => await copied() === mine.request.requestId);
	await p.locator('#request-copy-curl').click();
	await until('the call is copied', async () => (await copied()).startsWith('curl '));
	const answer = execFileSync('sh', ['-c', await copied()], { encoding: 'utf8' });
	assert.equal(JSON.parse(answer).request.requestId, mine.request.requestId);
	assert.doesNotMatch(await copied(), /Bearer/);
	/* As where a page has no clipboard. */
	await p.evaluate(() => Object.defineProperty(navigator, 'clipboard', { value: undefined, configurable: true }));
	await p.locator('#request-copy-id').click();
	await p.evaluate(() => { delete navigator.clipboard; });
	await until('the id is copied again', async () => await copied() === mine.request.requestId);

	held[1].hangUp();
	await until('it is over', async () => await p.locator('#request-more').textContent() === 'This request is in line no more, and has no turn.');
	assert.equal((await details(p)).Ticket, mine.ticket, 'what was known of it stays');
	await p.keyboard.press('Escape');
	await until('one waits', async () => (await rows(p, 'waiters')).length === 1);
	await p.locator('#waiters .name').click();
	assert.equal(await p.locator('#request-more').textContent(), 'Model, size and ids are known to its own instance, web2.');
	assert.deepEqual([(await details(p)).Instance, (await details(p)).Model], ['web2', '–']);
	await closePage(p);
	held.forEach((r) => r.hangUp());
});

test('with a token, the call that is copied names it and doesn’t show it; shares tell who left without a turn', async () => {
	const token = 'a-token-of-24-characters';
	const own = await startTurnstile('own', { relay, options: { 'admin.token': token, 'redis.instance': 'own' } });
	const held = await hold(own, relay, 'x', 'own-0');
	const gone = await lineUp(own, 'x', 'own-1', 1);
	gone.hangUp();
	await until('it left', async () => (await accountOf(own, 'x')).last5Minutes.left === 1);
	const p = await openPage(browser, own, { token: true, hash: '#account=x' });
	await p.locator('#token-input').fill(token);
	await p.keyboard.press('Enter');
	await until('it is there', async () => (await rows(p, 'holders')).length === 1);
	const [share] = (await accountOf(own, 'x')).last5Minutes.shares;
	assert.equal(share.left, 1);
	assert.deepEqual((await rows(p, 'shares'))[0].map((cell) => cell.text).slice(0, 4), [share.share, '0', '0', '1']);
	await p.locator('#holders .name').click();
	const call = await p.locator('#request-curl').textContent();
	assert.ok(!call.includes(token));
	const answer = execFileSync('sh', ['-c', call], { encoding: 'utf8', env: { ...process.env, TOKEN: token } });
	assert.equal(JSON.parse(answer).state, 'running');
	await closePage(p);
	held.hangUp();
	await stop(own);
});
