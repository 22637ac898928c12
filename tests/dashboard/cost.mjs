/*
 * cost.mjs - what the page costs: the browser with 1,000 accounts, turnstile and Redis with many pages, or with one
 * that nobody sees.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { closePage, figures, isLive, openPage } from './browser.mjs';
import { isQuiet, redis, scaled, until, watchRedis } from './fleet.mjs';
import { browser, fleet, page, server } from './stage.mjs';

test('1,000 accounts stay fluid', async () => {
	const commands = [];
	for (let i = 0; i < 1000; i++) {
		commands.push(['ZADD', 'user_msg_queue_index', Date.now(), `many-${i}`]);
		commands.push(['SET', `user_msg_queue_lock:many-${i}`, `other.1:${i}`, 'PX', '600000']);
	}
	await redis(server, ...commands);
	const busy = await openPage(browser, fleet[0]);
	await until('they are there', async () => Number((await figures(busy, 'tiles'))['Turns held']?.value) >= 1000);
	const longTasks = () => busy.evaluate(() => new Promise((resolve) => {
		const tasks = [];
		new PerformanceObserver((list) => tasks.push(...list.getEntries().map((e) => Math.round(e.duration)))).observe({ type: 'longtask' });
		setTimeout(() => resolve(tasks), 3500);
	}));
	/* What else the machine does makes tasks longer, too, so the best of some rounds counts; each has three updates. */
	let long = await longTasks();
	for (let round = 1; round < 5 && Math.max(0, ...long) >= scaled(200); round++)
		long = await longTasks();
	const took = await busy.evaluate(() => performance.getEntriesByType('resource')
		.filter((e) => e.name.includes('/api/overview')).slice(-4).map((e) => Math.round(e.duration)));
	console.log(`1,000 accounts: answers in ${took.join(', ')} ms; tasks over 50 ms: ${long.join(', ') || 'none'}`);
	assert.ok(Math.max(0, ...long) < scaled(200), 'no update blocks the page');
	assert.ok(Math.min(...took) < scaled(250), 'an answer doesn’t take long');
	await closePage(busy);
	await redis(server, ['DEL', ...Array.from({ length: 1000 }, (_, i) => `user_msg_queue_lock:many-${i}`)],
		['ZREM', 'user_msg_queue_index', ...Array.from({ length: 1000 }, (_, i) => `many-${i}`)]);
});

/*
 * An answer lasts 900 ms (OVERVIEW_FRESH_MS), so that is what lies between two surveys of an instance, whatever the
 * number of its pages.
 */
const mostSurveys = (tookMs) => Math.ceil(tookMs / 900) + 1;

test('polling: a request a second and page, a survey a second and instance that has pages', async () => {
	let asked = 0;
	const count = (r) => { asked += r.url().includes('/api/'); };
	await page.goto('about:blank');
	await isQuiet(server);
	const nobody = await watchRedis(server, 2000);
	assert.deepEqual(nobody.surveys, [], 'nobody looks');

	await page.goto(`${fleet[0].admin}/`);
	const pages = [page, await openPage(browser, fleet[1])];
	await isLive(page);
	page.on('request', count);
	const one = await watchRedis(server, 3000, 2);
	page.off('request', count);
	assert.ok(asked >= 1 && asked <= one.tookMs / 1000 + 2, `${asked} requests of one page in ${one.tookMs} ms`);

	pages.push(...await Promise.all([fleet[0], fleet[0], fleet[0], fleet[1], fleet[1], fleet[1]].map((t) => openPage(browser, t))));
	asked = 0;
	pages.forEach((p) => p.on('request', count));
	const many = await watchRedis(server, 3000, 2);
	pages.forEach((p) => p.off('request', count));
	console.log(`surveys of each instance in ${Math.round(one.tookMs)} ms with a page at two instances: ${one.surveys.join(', ')}; `
		+ `in ${Math.round(many.tookMs)} ms with four at each: ${many.surveys.join(', ')}, for ${asked} requests`);
	console.log(`scripts that Redis ran a second: ${[nobody, one, many].map((w) => (w.scripts * 1000 / w.tookMs).toFixed(1)).join(', ')}`);
	for (const w of [one, many]) {
		const most = mostSurveys(w.tookMs), own = nobody.scripts * w.tookMs / nobody.tookMs;
		assert.equal(w.surveys.length, 2);
		assert.ok(Math.max(...w.surveys) <= most, `at most ${most} surveys: ${w.surveys}`);
		/* Beside them each instance writes its note once a second, and nothing else is done for a page. */
		assert.ok(w.scripts <= own + 2 * most + fleet.length, `${w.scripts} scripts, ${own} without pages`);
	}
	assert.ok(asked > many.surveys[0] + many.surveys[1], 'pages share surveys');
	await Promise.all(pages.slice(1).map(closePage));
});

test('a tab that isn’t seen asks for nothing', async () => {
	await page.goto('about:blank');
	/* As a person has it: one tab in front, another behind it. See startBrowser(). */
	const [window] = browser.contexts();
	const tab = await window.newPage();
	await tab.goto(`${fleet[0].admin}/`);
	await isLive(tab);
	let asked = 0, ended = 0;
	const isQuestion = (r) => r.url().includes('/api/');
	tab.on('request', (r) => { asked += isQuestion(r); });
	tab.on('requestfinished', (r) => { ended += isQuestion(r); });
	const front = await window.newPage();
	await front.bringToFront();
	await until('it is hidden', () => tab.evaluate(() => document.hidden));
	await until('what was under way has come to its end', () => ended >= asked);
	await isQuiet(server);
	asked = 0;
	const { surveys } = await watchRedis(server, 2500);
	assert.equal(asked, 0);
	assert.deepEqual(surveys, []);
	assert.equal(await tab.locator('#freshness').textContent(), 'Not asked while hidden');
	await tab.bringToFront();
	await until('it is asked again', () => asked > 0);
	await isLive(tab);
	await front.close();
	await tab.close();
	await page.goto(`${fleet[0].admin}/`);
	await isLive(page);
});
