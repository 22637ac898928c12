/*
 * page.mjs - the dashboard, as a person sees and uses it: what it shows, and what its buttons do.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { closePage, figures, openPage, rows } from './browser.mjs';
import { accountOf, ask, atRelay, hold, json, lineUp, redis, scaled, startTurnstile, stop, until } from './fleet.mjs';
import { account, api, browser, choose, click, confirmed, fleet, page, pastOf, relay, rowOf, said, server, shows } from './stage.mjs';

test('who holds and who waits is what the API says', async () => {
	const held = [await hold(fleet[0], relay, 'alpha', 'alpha-0')];
	for (let i = 1; i <= 3; i++)
		held.push(await lineUp(fleet[i % 3], 'alpha', `alpha-${i}`, i));
	held.push(await hold(fleet[2], relay, 'beta', 'beta-0'));
	await shows('3 waiting', async () => (await rowOf('accounts', 'alpha'))?.[4].value === '3');
	await choose('alpha');

	const row = await rowOf('accounts', 'alpha'), beta = await rowOf('accounts', 'beta');
	const seen = await account('alpha'), listed = (await api('/api/queues')).queues;
	assert.equal(row[1].text, '●busy');
	assert.equal(row[2].text, `${seen.holder.instance}, ${seen.holder.client}`);
	assert.equal(seen.holder.instance, 'web1');
	assert.equal(beta[2].text, 'web3, 127.0.0.1');
	assert.deepEqual((await rows(page, 'accounts')).map((r) => [r[0].text, Number(r[4].value)]).sort(),
		listed.map((q) => [q.accountId, q.waiting]).sort());
	/* The page asks once a second, and may be answered with what a second ago was. */
	const old = scaled(3000);
	for (const [cell, now] of [[row[3], seen.holder.heldMs], [row[5], seen.oldestWaitMs]])
		assert.ok(Number(cell.value) <= now + 50 && Number(cell.value) > now - old, `${cell.value} of ${now} ms`);

	const waiters = await rows(page, 'waiters');
	assert.deepEqual(waiters.map((r) => [r[0].text, r[1].text, r[2].text, r[3].text, r[4].text]),
		seen.waiters.map((w) => [String(w.position), w.client, w.instance, w.share ?? '–', w.mark ?? '–']));
	assert.deepEqual(waiters.map((r) => r[2].text), ['web2', 'web3', 'web1']);
	waiters.forEach((r, i) => assert.ok(Math.abs(Number(r[5].value) - seen.waiters[i].waitedMs) < old));

	const tiles = await figures(page, 'tiles');
	assert.deepEqual(['Waiting', 'Turns held', 'Accounts', 'Stuck'].map((n) => Number(tiles[n].value)), [3, 2, 2, 0]);
	assert.match(await page.locator('#account-why').textContent(), /^web1, 127\.0\.0\.1 has had the turn for .*3 in line/);
	held.forEach((r) => r.hangUp());
	await shows('nobody', async () => (await figures(page, 'tiles')).Waiting.value === '0');
});

test('how much of its windows an account has used, and when they end', async () => {
	const end = Math.floor(Date.now() / 1000) + 7200;
	await ask(fleet[0], 'gamma', 'gamma-0', { 'x-relay-header': [
		'anthropic-ratelimit-unified-status: allowed_warning', 'anthropic-ratelimit-unified-5h-utilization: 0.87',
		'anthropic-ratelimit-unified-5h-status: allowed_warning', `anthropic-ratelimit-unified-5h-reset: ${end}`] }).ended;
	await choose('gamma');
	await shows('the windows', async () => (await rows(page, 'quota')).length > 0);
	const row = (await rows(page, 'quota')).find((r) => r[0].text === '5h');
	assert.deepEqual([row[1].text, row[2].text], ['87%', 'allowed, warning']);
	assert.ok(Number(row[3].value) > 7100e3 && Number(row[3].value) <= 7200e3, row[3].value);
	assert.equal(await page.locator('#quota meter').first().evaluate((m) => m.value), 0.87);
	assert.equal((await accountOf(fleet[0], 'gamma')).quota.windows[0].used, 0.87);
});

test('the timeline and its figures are of the whole fleet, and there for a page opened later', async () => {
	for (let i = 0; i < 4; i++)
		await ask(fleet[i % 3], 'alpha', `turn-${i}`, { 'x-relay-events': '2', 'x-relay-interval-ms': '20' }).ended;
	assert.ok((await json(`${fleet[0].admin}/api/status`)).firstByte.count >= 2);
	await shows('how long clients waited for their answers', async () =>
		/First byte after [\d.]+m?s, the relay’s part [\d.]+m?s/.test(await page.locator('#facts').textContent()));
	const late = await openPage(browser, fleet[2], { hash: '#account=alpha' });
	await until('the turns are there', async () => Number((await figures(late, 'figures')).Turns?.value) >= 4);
	await late.locator('#timeline-table summary').click();
	await until('the table is there', async () => await late.locator('#timeline-table tbody tr').count() > 0);
	/* Redis hears of a turn when its client has all, and the page asks once a second. */
	let steps;
	const sum = (column) => steps.reduce((n, step) => n + (Number(step[column]) || 0), 0);
	await until('its figures are those of the API', async () => {
		const recent = (await account('alpha')).last5Minutes, shown = await figures(late, 'figures');
		steps = (await rows(late, 'timeline-table')).map((row) => row.map((cell) => cell.text));
		return [[shown.Turns.value, recent.turns], [shown['Left without'].value, recent.left],
			[shown['Wait p50'].value, recent.waitMs.p50], [shown['Hold p99'].value, recent.holdMs.p99],
			[sum(2), recent.turns], [sum(3), recent.left]].every(([value, told]) => Number(value) === told);
	});
	assert.equal(steps.length, 61);
	assert.equal(Math.max(...steps.map((step) => Number(step[1]))), 3);
	await closePage(late);
});

/* As language.js writes it. */
const duration = (ms) => ms === null ? '–' : ms < 1000 ? `${ms}ms` : ms < 9950 ? `${(ms / 1000).toFixed(1)}s` : `${Math.round(ms / 1000)}s`;

/* What dygraphs was given to draw, as lists of [time, value...]; it keeps that from everybody but its maker. */
const keepCharts = (p) => p.route('**/dashboard/dygraph.js', async (route) => {
	const response = await route.fetch();
	const body = (await response.text()).replace(/export *\{ *(\w+) as default *\};/, `
		window.charts = [];
		const kept = new Proxy($1, { construct: (target, options) => {
			const chart = Reflect.construct(target, options);
			window.charts.push(chart);
			return chart;
		} });
		export { kept as default };`);
	assert.match(body, /window\.charts/);
	await route.fulfill({ response, body });
});
const drawn = (p) => p.evaluate(() => window.charts.map((chart) => Array.from({ length: chart.numRows() }, (_, row) =>
	Array.from({ length: chart.numColumns() }, (__, column) => Number(chart.getValue(row, column) ?? NaN)))));

test('what the timeline draws, and has as a table, is what the API says, step by step', async () => {
	await redis(server, ...pastOf('history'));
	/* The first whole answer, again and again: the next one is of a second later. */
	let told = null;
	const late = await openPage(browser, fleet[2], { hash: '#account=history', before: async (p) => {
		await keepCharts(p);
		await p.route('**/api/overview?*', async (route) => {
			told ??= await (await route.fetch()).json();
			await route.fulfill({ json: told });
		});
	} });
	const t = told.account.timeline, at = t.waiting.map((_, i) => Date.parse(t.from) + i * t.stepMs);
	const columns = (...names) => at.map((time, i) => [time, ...names.map((name) => t[name][i] ?? NaN)]);
	assert.equal(at.length, 61);
	assert.ok(Math.max(...t.waiting) > 1 && t.left.some((n) => n > 0), 'there is something to see');
	assert.ok(t.waitP50Ms.some((ms, i) => ms !== null && ms < t.waitP95Ms[i]), 'p50 and p95 differ');
	assert.equal(t.turns.reduce((a, b) => a + b), told.account.last5Minutes.turns);

	assert.deepEqual(await drawn(late), [columns('waiting'), columns('turns', 'left'), columns('waitP50Ms', 'waitP95Ms')]);
	await late.locator('#timeline-table summary').click();
	await until('the table is there', async () => await late.locator('#timeline-table tbody tr').count() > 0);
	const table = await rows(late, 'timeline-table');
	assert.deepEqual(table.map((row) => row.slice(1).map((cell) => cell.text)), at.map((_, i) =>
		[String(t.waiting[i]), String(t.turns[i]), String(t.left[i]), duration(t.waitP50Ms[i]), duration(t.waitP95Ms[i])]).reverse());
	assert.deepEqual(table.map((row) => row[0].text), await late.evaluate((times) =>
		times.map((time) => new Date(time).toLocaleTimeString('en-GB')), at.reverse()));
	await closePage(late);
});

async function pacing(terms) {
	const options = { 'queue.delay_ms': 10000, 'redis.instance': 'pacer', 'redis.key_prefix': 'pacer' };
	const pacer = await startTurnstile('pacer', { ...terms, relay, options });
	const watching = await openPage(browser, pacer, { hash: '#account=paced' });
	assert.equal((await ask(pacer, 'paced', 'paced-1').ended).status, 200);
	const next = ask(pacer, 'paced', 'paced-2'), row = async () => (await rows(watching, 'accounts')).find((cells) => cells[0].text === 'paced')?.map((cell) => cell.text);
	await until('it is pacing', async () => (await row())?.[1] === '◔pacing');
	assert.equal((await accountOf(pacer, 'paced')).holder.state, 'pacing');
	assert.deepEqual((await row()).slice(0, 5), ['paced', '◔pacing', 'pacer, 127.0.0.1', 'not yet', '0']);
	assert.equal(await watching.locator('#account-why').textContent(), 'Next is pacer, 127.0.0.1, as soon as the pause between turns is over.');
	assert.equal(await atRelay(relay, 'paced-2'), undefined);
	next.hangUp();
	await until('it is free', async () => (await row())[1] === '○free');
	await closePage(watching);
	await stop(pacer);
}

test('charts are as wide as there is room, also when the window changes', async () => {
	await ask(fleet[0], 'wide', 'wide-0').ended;
	await choose('wide');
	const widths = () => page.evaluate(() => [...document.querySelectorAll('.plot')].map((box) =>
		[box.clientWidth, box.querySelector('canvas').getBoundingClientRect().width]));
	const fits = async () => (await widths()).length === 3 && (await widths()).every(([box, canvas]) => Math.abs(box - canvas) <= 2);
	await shows('charts', fits);
	const before = (await widths())[0][0], size = page.viewportSize();
	await page.setViewportSize({ width: 700, height: 800 });
	await shows('narrower ones', async () => await fits() && (await widths())[0][0] !== before);
	await page.setViewportSize(size);
	await shows(`them as before, ${before}`, async () => await fits() && Math.abs((await widths())[0][0] - before) < 20);
	const times = await page.evaluate(() => [...document.querySelectorAll('.dygraph-axis-label-x')].map((l) => l.textContent));
	assert.equal(new Set(times).size, times.length / 3, `each tick says another time: ${times}`);
});

test('a turn that is handed over but may not begin yet: pacing', () => pacing({}));
test('the same with Redis', () => pacing({ redis: server }));

test('pause and resume', async () => {
	await choose('alpha');
	await click('Pause');
	await said('Paused.');
	assert.equal((await account('alpha')).paused, true);
	const r = await lineUp(fleet[1], 'alpha', 'paused', 1);
	await shows('the pause', async () => (await rowOf('accounts', 'alpha'))[1].text === 'Ⅱpaused');
	assert.match(await page.locator('#account-why').textContent(), /^Paused/);
	assert.equal(await atRelay(relay, 'paused'), undefined);
	await click('Resume');
	await said('Resumed.');
	assert.equal((await r.ended).status, 200);
	assert.equal((await account('alpha')).paused, false);
});

test('a turn is ended when that is confirmed, and the next one is served', async () => {
	const first = await hold(fleet[0], relay, 'alpha', 'ends');
	const second = await lineUp(fleet[1], 'alpha', 'next', 1);
	const button = page.getByRole('button', { name: 'End turn', exact: true });
	await choose('alpha');
	await shows('that there is a turn', () => button.isEnabled());
	await confirmed(button, 'Cancel');
	assert.equal(await atRelay(relay, 'next'), undefined);
	await confirmed(button, 'End the turn');
	await said('The turn was ended.');
	assert.equal((await second.ended).status, 200);
	await shows('that nobody has it', () => button.isDisabled());
	first.hangUp();
	/* once more: the API's own words */
	await page.evaluate(() => { document.getElementById('force').disabled = false; });
	await confirmed(button, 'End the turn');
	await said('Not done: nobody has the account');
});

/* In one process, so that it doesn't matter which backend can do that. */
test('several turns at once: each is shown, one is ended, and their number is set at run time', async () => {
	const alone = await startTurnstile('alone', { relay, options: { 'queue.turns': 2, 'redis.instance': 'alone' } });
	const held = [await hold(alone, relay, 'many', 'many-0'), await hold(alone, relay, 'many', 'many-1')];
	const waits = await lineUp(alone, 'many', 'many-2', 1);
	const watching = await openPage(browser, alone, { hash: '#account=many' });
	const seen = await accountOf(alone, 'many'), shown = () => rows(watching, 'holders');
	await until('two hold', async () => (await shown()).length === 2);
	assert.equal(seen.turns, 2);
	assert.deepEqual((await shown()).map((r) => [r[1].text, r[2].text, r[3].text]),
		seen.holders.map((holder) => [holder.client, holder.instance, holder.share]));
	assert.equal(seen.lockHolder, seen.holders[0].ticket);
	assert.match(await watching.locator('#account-why').textContent(), /^2 turns are taken of 2\. 1 in line/);
	assert.equal((await rows(watching, 'accounts'))[0][2].text, 'alone, 127.0.0.1 and 1 more');

	await watching.getByRole('button', { name: 'End the turn of alone, 127.0.0.1' }).nth(1).click();
	await watching.locator('#confirm').getByRole('button', { name: 'End the turn', exact: true }).click();
	assert.equal((await waits.ended).status, 200);
	assert.equal((await accountOf(alone, 'many')).holders[0].ticket, seen.holders[0].ticket);

	const next = await hold(alone, relay, 'many', 'many-3'), last = await lineUp(alone, 'many', 'many-4', 1);
	await watching.locator('#account-settings').click();
	await watching.fill('#edit-turns', '3');
	await watching.locator('#edit-save').click();
	assert.equal((await last.ended).status, 200);
	await until('two hold', async () => (await shown()).length === 2);
	assert.equal((await accountOf(alone, 'many')).turns, 3);
	[...held, next].forEach((r) => r.hangUp());
	await until('nobody holds', async () => !(await accountOf(alone, 'many')).holders.length);
	await closePage(watching);
	await stop(alone);
});

test('a waiter is removed: answered 503, never seen by the upstream, listed as rejected', async () => {
	const first = await hold(fleet[0], relay, 'alpha', 'stays');
	const second = await lineUp(fleet[1], 'alpha', 'removed', 1);
	const third = await lineUp(fleet[2], 'alpha', 'third', 2);
	await choose('alpha');
	await shows('two in line', async () => (await rows(page, 'waiters')).length === 2);
	await confirmed(page.getByRole('button', { name: 'Remove number 1 from the line' }), 'Remove');
	await said('Removed.');
	const ended = await second.ended;
	assert.equal(ended.status, 503);
	assert.equal(JSON.parse(ended.body).error.type, 'queue_removed');
	await shows('one in line', async () => (await rows(page, 'waiters')).length === 1);
	first.hangUp();
	assert.equal((await third.ended).status, 200);
	assert.equal(await atRelay(relay, 'removed'), undefined);
	const rejection = await shows('the rejection', async () => (await rows(page, 'rejections'))[0]);
	assert.deepEqual([1, 2, 3, 5].map((i) => rejection[i].text), ['queue_removed', 'alpha', '127.0.0.1', 'web2']);
});

test('settings: refused with the API’s words, in effect on every instance, dropped again', async () => {
	await click('Settings');
	await page.fill('#edit-delayMs', '99999');
	await click('Save');
	const refusal = await fetch(`${fleet[1].admin}/api/config`, { method: 'PUT', headers: { 'content-type': 'application/json' }, body: '{"delayMs":99999}' });
	assert.equal(refusal.status, 400);
	const refused = await refusal.json();
	await shows('why not', async () => await page.locator('#edit-error').textContent() === refused.error.message);
	await page.fill('#edit-delayMs', 'soon');
	await click('Save');
	await shows('why not', async () => /^delayMs: has the wrong type/.test(await page.locator('#edit-error').textContent()));
	await page.fill('#edit-delayMs', '150');
	await click('Save');
	await said('Saved.');
	await until('every instance has it', async () =>
		(await Promise.all(fleet.map((t) => json(`${t.admin}/api/config`)))).every((c) => c.delayMs === 150 && c.timeoutMs === 280000));
	await shows('it', async () => /150ms between turns/.test(await page.locator('#facts').textContent()));

	await choose('alpha');
	await page.locator('#account-settings').click();
	await page.selectOption('#edit-mode', 'off');
	await click('Save');
	await said('Saved.');
	await until('web3 has it', async () => (await json(`${fleet[2].admin}/api/queues/alpha/config`)).enabled === false);
	const holder = await hold(fleet[2], relay, 'alpha', 'passes-1');
	assert.equal((await ask(fleet[2], 'alpha', 'passes-2').ended).status, 200);
	holder.hangUp();
	await page.locator('#account-settings').click();
	await click('Back to the configuration');
	await said('dropped');
	await click('Settings');
	assert.equal(await page.inputValue('#edit-delayMs'), '150');
	await click('Back to the configuration');
	await until('the configured value counts', async () => (await api('/api/config')).delayMs === 0);
	await shows('no dialog', async () => await page.locator('dialog[open]').count() === 0);
});

test('a holder whose response stands still is told, though nobody waits; and an idle account stays while its past is there', async () => {
	const own = await startTurnstile('still', { relay, options: { 'listen.stall_timeout_ms': 1000, 'upstream.request_timeout_ms': 600000 } });
	const watching = await openPage(browser, own), state = async () => (await rows(watching, 'accounts'))[0]?.[1].text;
	const holder = await hold(own, relay, 'quiet', 'still-0');
	await until('it is told', async () => await state() === '▲stalled');
	await watching.locator('#accounts .name').first().click();
	await until('and why', async () => /The response hasn’t moved for listen\.stall_timeout_ms\.$/.test(await watching.locator('#account-why').textContent()));
	holder.hangUp();
	await until('it is free', async () => await state() === '○free');
	await closePage(watching);
	await stop(own);
});

test('what observe mode would have done', async () => {
	const observer = await startTurnstile('observer', { relay, options: { 'queue.mode': 'observe' } });
	const slow = { 'x-relay-events': '2', 'x-relay-interval-ms': '200' };
	await Promise.all([1, 2, 3].map((i) => ask(observer, 'seen', `o${i}`, slow).ended));
	const watching = await openPage(browser, observer);
	await until('all three are counted', async () => {
		const shown = await figures(watching, 'observed-figures');
		return shown.Observed?.value === '3' && shown['Would have waited']?.value === '2';
	});
	const told = (await json(`${observer.admin}/api/overview`)).fleet.observed;
	assert.equal(told.waited, 2);
	assert.equal(Number((await figures(watching, 'observed-figures'))['Mean wait of these'].value), told.waitMs);
	assert.match(await watching.locator('#facts').textContent(), /Observing only/);

	/* The line that there would be is told as such, and has no buttons: there is nothing to end. */
	const held = [await hold(observer, relay, 'seen', 'o-4'), await hold(observer, relay, 'seen', 'o-5')];
	await until('it is in the list', async () => (await rows(watching, 'accounts'))[0]?.[4].value === '1');
	assert.deepEqual((await rows(watching, 'accounts'))[0].slice(0, 2).map((c) => c.text), ['seen', '●busy observed']);
	await watching.locator('#accounts .name').first().click();
	await until('who would wait', async () => (await rows(watching, 'waiters')).length === 1);
	assert.match(await watching.locator('#account-why').textContent(), /^Observed only: the line that there would be for seen\. /);
	const buttons = await watching.locator('#account-body button').evaluateAll((all) =>
		all.filter((b) => b.checkVisibility() && b.className !== 'name').map((b) => b.textContent));
	assert.deepEqual(buttons, ['Settings']);
	await watching.locator('#account-settings').click();
	await until('its settings', async () => await watching.locator('#edit-title').textContent() === 'Settings of seen');
	held.forEach((r) => r.hangUp());
	await closePage(watching);
	await stop(observer);
});
