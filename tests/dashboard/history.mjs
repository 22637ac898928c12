/*
 * history.mjs - hours and days: what the page shows of them is what the API says; ranges, accounts, a file to keep.
 */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { closePage, figures, focused, isAccessible, openPage, rows, tabTo } from './browser.mjs';
import { ask, hold, json, lineUp, pause, startTurnstile, stop, until } from './fleet.mjs';
import { browser, fleet, relay } from './stage.mjs';

const scope = (p) => p.locator('#history-scope').textContent();
const openHistory = async (turnstile, options = {}) => {
	const p = await openPage(browser, turnstile, { hash: '#hours=6', ...options });
	await until('the history is there', async () => /./.test(await scope(p)));
	return p;
};
const WAITS_MS = 100; /* who waits for so long counts as one who waited, on any machine */
const history = (turnstile, query) => json(`${turnstile.admin}/api/history?${query}`);

/* One with turns, a wait, a refusal, one who left, and two kinds of 429. */
async function startPast(name) {
	const own = await startTurnstile(name, { relay, options: { 'redis.instance': name, 'queue.max_waiting': 1 } });
	const held = await hold(own, relay, 'busy', `${name}-0`), second = await lineUp(own, 'busy', `${name}-1`, 1);
	assert.equal((await ask(own, 'busy', `${name}-2`).ended).status, 503);
	await pause(WAITS_MS);
	held.hangUp();
	assert.equal((await second.ended).status, 200);
	for (const header of ['retry-after: 1', 'x-user-message-queue-error: queue_full'])
		assert.equal((await ask(own, 'limited', `${name}-${header.length}`, { 'x-relay-status': '429', 'x-relay-header': header }).ended).status, 429);
	await until('all of it is remembered', async () => {
		const { total } = await history(own, 'step=range');
		return total.turns === 4 && total.refused === 1;
	});
	return own;
}

test('what it shows is what the API says: sums, accounts, hours, and 429s by kind', async () => {
	const own = await startPast('past'), p = await openHistory(own);
	assert.match(await scope(p), /^All accounts · what past has served since /);
	const { total, rows: byName } = await history(own, 'step=range&by=account'), shown = await figures(p, 'history-figures');
	assert.deepEqual(['Turns', 'Refused', '429 throttle', '429 quota', '429 other'].map((n) => Number(shown[n].value)), [4, 1, 1, 0, 1]);
	assert.ok(total.waited >= 1, 'somebody waited');
	assert.deepEqual(['Turns', 'Waited', 'Wait p50', 'Wait p95', 'Refused', 'Left', 'Held'].map((n) => Number(shown[n].value)),
		[total.turns, total.waited, total.waitP50Ms, total.waitP95Ms, total.refused, total.left, total.heldMs]);
	assert.deepEqual((await rows(p, 'history-names')).map((r) => [r[0].text, ...[1, 5, 7, 9].map((i) => Number(r[i].value))]),
		byName.map((r) => [r.accountId, r.turns, r.refused, r.answers.throttle, r.answers.notALimit + r.answers.unknown]));
	assert.deepEqual(byName.map((r) => r.accountId), ['busy', 'limited']);
	const hourly = await rows(p, 'history-hourly');
	assert.equal(hourly.reduce((n, r) => n + Number(r[1].value), 0), 4);
	assert.equal(await p.locator('#history-names .enforced').first().isVisible(), false, 'nothing was observed');
	assert.equal(await p.locator('#history-observed').isVisible(), false);

	/* Bars: as high in sum as the turns, the refusal and who left. */
	const charts = await p.evaluate(() => [...document.querySelectorAll('#history-bars svg')].map((svg) => ({
		label: svg.getAttribute('aria-label'), steps: svg.viewBox.baseVal.width,
		said: [...svg.querySelectorAll('title')].map((t) => t.textContent),
		heights: [...svg.querySelectorAll('g')].map((g) => [...g.querySelectorAll('rect')].reduce((n, r) => n + r.height.baseVal.value, 0)) })));
	const perStep = (await history(own, 'by=total')).rows;
	assert.equal(charts.length, 3);
	assert.ok(charts.every((c) => c.steps >= 360 && c.steps <= 361), 'a bar a minute');
	const most = Math.max(...perStep.map((r) => r.turns + r.refused + r.left));
	assert.deepEqual(charts[0].heights.map((height) => Math.round(height * most / 100)), perStep.map((r) => r.turns + r.refused + r.left).filter(Boolean));
	assert.match(charts[0].label, new RegExp(`^Left the line: at most ${most}\\.`));
	assert.match(charts[2].said.join(' '), /429 throttle 1/);
	await closePage(p);
	await stop(own);
});

test('what enforcing would have done, in sum and by account and hour', async () => {
	const own = await startTurnstile('observing', { relay, options: { 'redis.instance': 'observing', 'queue.mode': 'observe', 'queue.max_waiting': 1 } });
	const held = [];
	for (let i = 0; i < 3; i++)
		held.push(await hold(own, relay, 'seen', `seen-${i}`));
	await pause(WAITS_MS);
	held.forEach((r) => r.hangUp());
	await until('all three are remembered', async () => {
		const { observed } = (await history(own, 'step=range')).total;
		return observed.turns === 2 && observed.refused === 1;
	});
	const p = await openHistory(own), { observed } = (await history(own, 'step=range')).total;
	assert.ok(observed.waited >= 1, 'somebody would have waited');
	const words = await p.locator('#history-observed').textContent();
	assert.match(words, new RegExp(`^If enforced: ${observed.waited} waits?, p95 [\\d.]+(?:ms|s), 1 refusal$`));
	assert.deepEqual((await rows(p, 'history-names')).map((r) => [r[0].text, r[1].value, r.at(-1).text]), [['seen', '0', words]]);
	assert.ok(await p.locator('#history-names .enforced').first().isVisible());
	const hourly = (await rows(p, 'history-hourly')).map((r) => r.at(-1).text);
	assert.ok(hourly.length === 1 ? hourly[0] === words : hourly.every((w) => w.startsWith('If enforced: ')), 'and by hour');
	await closePage(p);
	await stop(own);
});

test('closed it asks for nothing; range and account are in the address, and Back works', async () => {
	const own = await startPast('ranges'), p = await openPage(browser, own);
	const asked = [];
	p.on('request', (r) => { if (r.url().includes('/api/history')) asked.push(r.url()); });
	await until('the page has asked a few times', async () => (await p.evaluate(() =>
		performance.getEntriesByType('resource').filter((e) => e.name.includes('/api/overview')).length)) > 2);
	assert.deepEqual(asked, []);

	await p.locator('#history > summary').click();
	await until('it is there', async () => /past|ranges/.test(await scope(p)));
	assert.equal(new URL(p.url()).hash, '#hours=6');
	assert.ok(asked.length >= 3);
	await p.selectOption('#history-hours', '192');
	await until('eight days', () => asked.some((url) => url.includes('hours=192')));
	assert.equal(new URL(p.url()).hash, '#hours=192');
	await p.locator('#accounts .name', { hasText: 'busy' }).first().click();
	await until('it is of the account', async () => (await scope(p)).startsWith('busy · '));
	assert.equal(new URL(p.url()).hash, '#account=busy&hours=192');
	const shares = (await history(own, 'hours=192&account=busy&by=share&step=range')).rows;
	assert.deepEqual((await rows(p, 'history-names')).map((r) => r[0].text), shares.map((r) => r.share ?? 'not in line'));
	await p.goBack();
	await p.goBack();
	await until('six hours of all', async () => (await scope(p)).startsWith('All accounts') && await p.inputValue('#history-hours') === '6');
	await p.goBack();
	await until('closed', () => p.evaluate(() => !document.getElementById('history').open));
	await p.goForward();
	await until('open again', () => p.evaluate(() => document.getElementById('history').open));
	await closePage(p);
	await stop(own);
});

test('with the keyboard alone and a token: opened, another range, a file to keep', async () => {
	const own = await startTurnstile('kept', { relay, options: { 'redis.instance': 'kept', 'admin.token': 'a-token-of-its-own' } });
	const headers = { authorization: 'Bearer a-token-of-its-own' };
	assert.equal((await ask(own, 'kept', 'kept-0').ended).status, 200);
	await until('it is remembered', async () =>
		(await json(`${own.admin}/api/history?step=range`, { headers })).total.turns === 1);
	const before = (p) => p.addInitScript(() => sessionStorage.setItem('turnstile.token', 'a-token-of-its-own'));
	const p = await openPage(browser, own, { before, acceptDownloads: true });
	await tabTo(p, 'History');
	await p.keyboard.press('Enter');
	await until('it is there', async () => /kept/.test(await scope(p)));
	await p.keyboard.press('Tab');
	assert.equal(await p.evaluate(() => document.activeElement.id), 'history-hours');
	await p.keyboard.press('ArrowDown');
	await until('a day', async () => new URL(p.url()).hash === '#hours=24');
	await p.keyboard.press('Tab');
	assert.equal(await focused(p), 'Download CSV');
	const [file] = await Promise.all([p.waitForEvent('download'), p.keyboard.press('Enter')]);
	assert.equal(file.suggestedFilename(), 'turnstile-history-24h.csv');
	const lines = (await readFile(await file.path(), 'utf8')).trimEnd().split('\r\n').map((line) => line.split(','));
	assert.deepEqual(lines[0].slice(0, 5), ['at', 'account', 'share', 'turns', 'refused']);
	assert.equal(lines.slice(1).reduce((n, line) => n + Number(line[3]), 0), 1);
	await closePage(p);
	await stop(own);
});

test('light, dark, in Chinese, from a phone to a wide screen: accessible, and nothing sticks out', async () => {
	const own = await startPast('looks');
	const looks = [[390, 'light', 'zh-CN'], [820, 'dark', 'en-GB'], [1024, 'light', 'en-GB'], [1440, 'dark', 'zh-CN']];
	for (const [width, colorScheme, locale] of looks) {
		const p = await openHistory(own, { colorScheme, locale, viewport: { width, height: 900 } });
		await p.locator('#history details summary').click();
		assert.ok(await p.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${width}: nothing sticks out`);
		await isAccessible(p, `history, ${width}, ${colorScheme}`);
		await p.locator('#history').screenshot({ path: `history-${width}.png` });
		await closePage(p);
	}
	await stop(own);
});
