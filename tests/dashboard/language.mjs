/*
 * language.mjs - the page in English and in 简体中文: which one it is, that nothing stays in the other one, and how
 * numbers are written in each.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { closePage, focused, isAccessible, isLive, openPage, rows, tabTo } from './browser.mjs';
import { ask, hold, json, lineUp, startTurnstile, stop, until } from './fleet.mjs';
import { browser, fleet, relay } from './stage.mjs';

const lang = (p) => p.evaluate(() => document.documentElement.lang);

/* What a person can read or hear of the page as it is: texts, labels, hints, and what opens under the pointer. */
const readable = (p) => p.evaluate(() => {
	const found = new Set(), isShown = (e) => e.checkVisibility();
	const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
	while (walker.nextNode()) {
		if (isShown(walker.currentNode.parentElement))
			found.add(walker.currentNode.textContent.trim());
	}
	for (const element of document.querySelectorAll('*')) {
		for (const name of ['aria-label', 'title', 'placeholder'].filter((n) => element.hasAttribute(n)))
			found.add(isShown(element) ? element.getAttribute(name) : '');
	}
	return [...found].filter(Boolean);
});

/* Names, which are the same in each language: of programs, options, outcomes, formats; and those of this test. */
const NAMES = new RegExp(`^(turnstile|dygraphs|Redis|JSON|GET|CONNECT|HTTP|api|API|English|enforce|observe|off|token|admin|ms|p\\d+
	|queue_\\w+|zh|one|two|process|u|h|web|http|tokens?|messages|m|[kM]?B|IDs?|curl|delayMs|timeoutMs|turns|mode)$`.replace(/\s/g, ''));

async function isChinese(p, what) {
	const texts = (await readable(p)).filter((t) => !t.startsWith('curl -s '));
	assert.ok(texts.length > 10, `${what}: something is there`);
	const words = texts.flatMap((t) => (t.replace(/[\w.:-]*\d[\w.:-]*/g, ' ').match(/[A-Za-z]\w*/g) ?? []).filter((w) => !NAMES.test(w)).map((w) => `${w} in "${t}"`));
	assert.deepEqual(words, [], what);
}

/* All there is to see, in one process: who holds and waits, a pause, a limit, refusals, changes. */
async function startScene() {
	const own = await startTurnstile('zh', { relay, options: { 'redis.instance': 'zh', 'queue.timeout_ms': '280000' } });
	const order = (method, path, body) => json(own.admin + path, { method, body, headers: { 'content-type': 'application/json' } });
	const end = Math.floor(Date.now() / 1000) + 7200;
	await ask(own, 'zh-one', 'zh-0', { 'x-relay-header': ['anthropic-ratelimit-unified-status: allowed_warning',
		'anthropic-ratelimit-unified-5h-utilization: 0.87', 'anthropic-ratelimit-unified-5h-status: allowed_warning',
		`anthropic-ratelimit-unified-5h-reset: ${end}`] }).ended;
	const held = [await hold(own, relay, 'zh-one', 'zh-1'), await lineUp(own, 'zh-one', 'zh-2', 1), await lineUp(own, 'zh-one', 'zh-3', 2)];
	const { waiters } = await json(`${own.admin}/api/queues/zh-one`);
	await order('DELETE', `/api/queues/zh-one/waiters/${encodeURIComponent(waiters[1].ticket)}`);
	await held.pop().ended;
	await order('PUT', '/api/queues/zh-one/config', '{"turns":1}');
	await order('POST', '/api/queues/zh-two/pause?unseen=1');
	return { own, end: async () => {
		held.forEach((r) => r.hangUp());
		await stop(own);
	} };
}

test('in Chinese where the browser asks for it: nothing is left in English, and no finding of axe', async () => {
	const scene = await startScene();
	const p = await openPage(browser, scene.own, { hash: '#account=zh-one', locale: 'zh-CN' });
	assert.equal(await lang(p), 'zh-CN');
	await until('all is there', async () => (await rows(p, 'waiters')).length === 1 && (await rows(p, 'quota')).length > 0
		&& (await rows(p, 'rejections')).length === 1 && (await rows(p, 'changes')).length === 3
		&& await p.locator('#charts canvas').count() === 6);
	await p.locator('#timeline-table summary').click();
	await until('the table is there', async () => await p.locator('#timeline-table tbody tr').count() > 0);
	await isChinese(p, 'an account');
	await isAccessible(p, 'in Chinese');
	assert.match(await p.locator('#account-why').textContent(), /^zh, 127\.0\.0\.1 已持有执行权 .+，此前等待 .+。1 个在排队，队首已等待 .+。$/);
	assert.deepEqual((await rows(p, 'accounts')).map((r) => [r[0].text, r[1].text]).sort(), [['zh-one', '●占用中'], ['zh-two', 'Ⅱ已暂停']]);
	assert.ok((await rows(p, 'quota')).every((r) => r[2].text === '正常，接近上限' || r[0].text !== '5h'));
	await p.locator('#waiters .name').first().click();
	await isChinese(p, 'a request');
	await p.keyboard.press('Escape');
	await p.locator('#waiters .do button').first().click();
	await isChinese(p, 'a question');
	await p.keyboard.press('Escape');
	await p.locator('#account-settings').click();
	await p.fill('#edit-delayMs', '99999');
	await p.locator('#edit-save').click();
	await until('it is refused', async () => (await p.locator('#edit-error').textContent()).startsWith('设置无效：delayMs'));
	await p.locator('#edit-error').evaluate((e) => { e.hidden = true; }); /* the API's own words */
	await isChinese(p, 'settings');
	await p.keyboard.press('Escape');
	/* Of states and accounts as they are called here. */
	await p.fill('#search', '暂停');
	await until('the paused one is found', async () => (await rows(p, 'accounts')).map((r) => r[0].text).join() === 'zh-two');
	await p.fill('#search', '没有这个');
	await until('none is found', async () => await p.locator('#accounts-empty').textContent() === '没有符合条件的账号。');
	await closePage(p);
	await scene.end();
});

test('in Chinese: what goes wrong, and a token', async () => {
	const guarded = await startTurnstile('zh', { relay, options: { 'redis.instance': 'zh', 'admin.token': 'a-token-of-24-characters' } });
	const p = await openPage(browser, guarded, { token: true, locale: 'zh-TW' });
	await p.locator('#token-input').waitFor();
	await isChinese(p, 'the token');
	await p.keyboard.type('another-token-of-24-characters');
	await p.keyboard.press('Enter');
	await until('it is refused', async () => await p.locator('#token-error').textContent() === '令牌不正确。');
	await p.keyboard.type('a-token-of-24-characters');
	await p.keyboard.press('Enter');
	await isLive(p);
	await stop(guarded, 'SIGKILL');
	await until('it says so', async () => await p.locator('#notice').textContent() === '无法连接 turnstile。显示的是之前的数据，正在重试。');
	await isChinese(p, 'an outage');
	await closePage(p);
});

test('the language is chosen with the keyboard alone, kept, and wins over the browser’s', async () => {
	const p = await openPage(browser, fleet[0], { hash: '#sort=account', locale: 'fr-FR' });
	const title = () => p.locator('#accounts-title').textContent();
	assert.deepEqual([await lang(p), await title()], ['en', 'Accounts'], 'neither of its languages');
	await tabTo(p, 'Language');
	const reloaded = p.waitForEvent('load');
	await p.keyboard.press('ArrowDown');
	await reloaded;
	await isLive(p);
	assert.deepEqual([await lang(p), await title(), await focused(p)], ['zh-CN', '账号', '语言']);
	assert.match(p.url(), /#sort=account$/);
	const other = await p.context().newPage();
	await other.goto(`${fleet[0].admin}/`);
	await isLive(other);
	assert.equal(await lang(other), 'zh-CN');
	await other.close();
	await p.reload();
	await isLive(p);
	assert.notEqual(await focused(p), '语言', 'the focus was kept once');
	await p.locator('#language').selectOption('en');
	await p.waitForFunction(() => document.documentElement.lang === 'en');
	await closePage(p);
});

test('numbers, times and plurals, in each language', async () => {
	const written = async (locale) => {
		const p = await openPage(browser, fleet[0], { locale });
		const all = await p.evaluate(async () => {
			const { clock, count, duration, percent, text, valueNamed } = await import('/dashboard/language.js');
			return [[null, 0, 850, 3210, 42000, 200000, 180000, 7500000, 7200000, 3 * 86400e3].map(duration), count(1234567), percent(0.873),
				clock(new Date(2026, 0, 2, 0, 5, 9)), [1, 2, 1200].map((n) => text('turns taken of', { n, of: 2000 })),
				valueNamed('state', 'b'), valueNamed('state', '占用')];
		});
		await closePage(p);
		return all;
	};
	assert.deepEqual(await written('en-GB'), [['–', '0ms', '850ms', '3.2s', '42s', '3m 20s', '3m', '2h 5m', '2h', '3d'], '1,234,567', '87%',
		'00:05:09', ['1 turn is taken of 2,000.', '2 turns are taken of 2,000.', '1,200 turns are taken of 2,000.'], null, null]);
	assert.deepEqual(await written('zh-CN'), [['–', '0ms', '850ms', '3.2秒', '42秒', '3分钟20秒', '3分钟', '2小时5分钟', '2小时', '3天'], '1,234,567', '87%',
		'00:05:09', [1, 2].map((n) => `最多 2,000 个并发，已占用 ${n} 个。`).concat('最多 2,000 个并发，已占用 1,200 个。'), null, 'busy']);
});
