/*
 * widths.mjs - names that are longer than there is room, in windows of all widths, light and dark, in both languages:
 * nothing is wider than the window, no name is torn into letters, and each can be read whole. Makes screenshots.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { closePage, isAccessible, openPage, rows } from './browser.mjs';
import { accountOf, ask, HOLDS, json, startTurnstile, stop, until } from './fleet.mjs';
import { browser, relay } from './stage.mjs';

const LONG = {
	accountId: (s) => `${s}-organisation-of-the-department-for-research-in-europe-west@example.com`,
	instance: (s) => `turnstile-production-europe-west-3-${s}-7f9c8d6b5-x2x9q`,
	share: (s) => `${s}-someone-whose-name-is-not-short-at-all@example.com`,
	client: () => '2001:db8:85a3:1234:5678:8a2e:370:7334',
	account: (s) => LONG.accountId(s),
};

/* The same with names as long as they get. */
function lengthen(value, name) {
	if (Array.isArray(value))
		return value.map((item) => lengthen(item, name));
	if (value !== null && typeof value === 'object')
		return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, lengthen(item, key)]));
	return typeof value === 'string' && value && name in LONG ? LONG[name](value) : value;
}

/* Everything that the page has to show, of one process, once: it stays the same while it is looked at. */
async function takeScene() {
	const own = await startTurnstile('wide', { relay, options: { 'redis.instance': 'w', 'queue.timeout_ms': '280000', 'queue.turns': '2',
		'queue.share_by': 'header:x-share' } });
	const order = (method, path, body) => json(own.admin + path, { method, body, headers: { 'content-type': 'application/json' } });
	const end = Math.floor(Date.now() / 1000) + 7200;
	await ask(own, 'team', 'w-0', { 'x-relay-header': ['anthropic-ratelimit-unified-status: allowed_warning',
		'anthropic-ratelimit-unified-5h-utilization: 0.87', 'anthropic-ratelimit-unified-5h-status: allowed_warning',
		`anthropic-ratelimit-unified-5h-reset: ${end}`] }).ended;
	const held = [];
	for (const who of ['ann', 'bo', 'cy', 'di', 'ed', 'flo']) {
		held.push(ask(own, 'team', `w-${who}`, { ...HOLDS, 'x-share': who }));
		await until(`${who} is there`, async () => {
			const { holders, waiting } = await accountOf(own, 'team');
			return holders.length + waiting === held.length;
		});
	}
	await Promise.all(['key-f77894fdfa58e447', 'b', 'c'].map((name) => ask(own, name, `w-${name}`).ended));
	const { waiters } = await json(`${own.admin}/api/queues/team`);
	await order('DELETE', `/api/queues/team/waiters/${encodeURIComponent(waiters[3].ticket)}`);
	await held.pop().ended;
	await order('PUT', '/api/queues/team/config', '{"turns":2}');
	await order('POST', '/api/queues/b/pause');
	const scene = { overview: await json(`${own.admin}/api/overview?account=team`), changes: await json(`${own.admin}/api/changes`) };
	held.forEach((r) => r.hangUp());
	return { own, overview: lengthen(scene.overview), changes: lengthen(scene.changes) };
}

/* Cells whose text is on more lines than it may be: one, and two in heads. And what sticks out of the window. */
const misfits = (p) => p.evaluate(() => {
	const found = [];
	for (const cell of document.querySelectorAll('.rows :is(td, th), .facts li, .tiles dd, .head h2')) {
		if (!cell.checkVisibility() || !cell.textContent.trim())
			continue;
		const walker = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT), bottoms = new Set(), range = document.createRange();
		while (walker.nextNode()) {
			range.selectNode(walker.currentNode);
			[...range.getClientRects()].filter((r) => r.width > 1).forEach((r) => bottoms.add(Math.round(r.bottom / 8)));
		}
		const lines = bottoms.size;
		if (lines > (cell.closest('.head') ? 3 : cell.closest('thead, .facts') ? 2 : 1))
			found.push(`${lines} lines: ${cell.textContent}`);
		if (cell.closest('.rows') && cell.clientWidth < 20)
			found.push(`no room: ${cell.textContent}`);
	}
	if (document.documentElement.scrollWidth > innerWidth)
		found.push(...[...document.querySelectorAll('body *')].filter((e) => e.getBoundingClientRect().right > innerWidth + 1
			&& !e.closest('.scroll')).map((e) => `sticks out: ${e.outerHTML.slice(0, 80)}`));
	return found;
});

let scene = null;
const WIDTHS = [390, 820, 961, 1024, 1152, 1153, 1440];

for (const [locale, colorScheme] of [['en-GB', 'light'], ['zh-CN', 'dark'], ['en-GB', 'dark'], ['zh-CN', 'light']]) {
	test(`long names, ${locale}, ${colorScheme}: whole rows at each width, and no finding of axe`, async () => {
		scene ??= await takeScene();
		const p = await openPage(browser, scene.own, { hash: `#account=${encodeURIComponent(scene.overview.account.accountId)}`, locale, colorScheme,
			before: async (q) => {
				await q.route('**/api/overview?*', (route) => route.fulfill({ json: scene.overview }));
				await q.route('**/api/changes', (route) => route.fulfill({ json: scene.changes }));
			} });
		await until('it is complete', async () => (await rows(p, 'waiters')).length === 3 && await p.locator('#charts canvas').count() === 6);
		for (const width of WIDTHS) {
			await p.setViewportSize({ width, height: 900 });
			/* Charts follow a moment later. */
			await until('charts fit', async () => !(await misfits(p)).some((m) => m.includes('canvas'))).catch(() => {});
			assert.deepEqual(await misfits(p), [], `${width} px`);
			if (![961, 1152, 1153].includes(width))
				await isAccessible(p, `${width} px`);
			if (width === 390 || width === 1440)
				await p.screenshot({ path: `wide-${locale}-${colorScheme}-${width}.png`, fullPage: true });
		}
		await closePage(p);
	});
}


test('a name that is cut is whole under the pointer, and with the focus on it', async () => {
	const p = await openPage(browser, scene.own, { viewport: { width: 820, height: 900 }, before: (q) =>
		q.route('**/api/overview?*', (route) => route.fulfill({ json: scene.overview })) });
	const name = p.locator('#instances tbody th').first(), whole = `${scene.overview.fleet.instances[0].instance} (this one)`;
	await until('it is known to be cut', async () => (await name.getAttribute('title'))?.startsWith(`${whole}\nturnstile `));
	const isCut = () => name.evaluate((e) => e.scrollWidth > e.clientWidth);
	assert.equal(await isCut(), true);
	for (let i = 0; i < 120 && !await name.evaluate((e) => e === document.activeElement); i++)
		await p.keyboard.press('Tab');
	assert.equal(await isCut(), false);
	await p.setViewportSize({ width: 1440, height: 900 });
	const account = p.locator('#accounts .name').first();
	assert.equal(await account.getAttribute('title'), await account.textContent());
	await closePage(p);
	await stop(scene.own);
});
