/*
 * outside.mjs - what comes from outside, and what the page may do with it: text stays text, and nobody but the
 * admin address is asked for anything.
 */
import assert from 'node:assert/strict';
import http from 'node:http';
import { test } from 'node:test';
import { closePage, complaints, done, openPage, rows } from './browser.mjs';
import { ask, HOLDS, reaches, redis, scaled, until } from './fleet.mjs';
import { account, api, browser, choose, fleet, page, relay, rowOf, server, shows } from './stage.mjs';

const evil = '<img/src=x/onerror=window.pwned=1>';
/* Images and scripts as the page itself has them, and nothing that ran. */
const isUnharmed = async (p) => assert.deepEqual(await p.evaluate(() =>
	[window.pwned, document.querySelectorAll('img').length, document.querySelectorAll('script').length]), [undefined, 1, 1]);

test('text from outside stays text', async () => {
	const asked = ask(fleet[0], '<script>window.pwned=1</script>', 'evil', HOLDS);
	await reaches(relay, 'evil');
	const note = { ...(await api('/api/overview')).fleet.instances[0], id: 'evil', instance: evil, version: evil, listening: evil,
		mode: evil, startedAt: 1, rejections: [{ at: Date.now(), outcome: evil, status: 503, message: evil, reason: evil, account: evil,
			client: evil, requestId: evil, waitedMs: 1 }] };
	await redis(server, ['SET', 'user_msg_queue_lock:evil', evil], ['ZADD', 'user_msg_queue_index', Date.now(), 'evil'],
		['SET', `user_msg_queue_lock:${evil}`, evil], ['ZADD', 'user_msg_queue_index', Date.now(), evil],
		['SET', 'user_msg_queue_note:evil', JSON.stringify(note)], ['ZADD', 'user_msg_queue_notes', Date.now(), 'evil'],
		['SET', 'user_msg_queue_note:broken', '{"id":['], ['ZADD', 'user_msg_queue_notes', Date.now(), 'broken']);
	await shows('the foreign lock', async () => (await rowOf('accounts', evil))?.[2].text === evil);
	await shows('the foreign instance', () => rowOf('instances', evil));
	await shows('the foreign rejection', async () => (await rows(page, 'rejections')).some((r) => r[1].text === evil));
	await choose(evil);
	assert.equal((await rowOf('accounts', evil))[1].text, '▲stuck');
	assert.match(await page.locator('#account-why').textContent(), /^Stuck: the lock has no lease/);
	const hashed = (await api('/api/queues')).queues.find((q) => q.accountId.startsWith('h-'));
	assert.ok(await rowOf('accounts', hashed.accountId), 'a name that could be markup is a hash');
	await isUnharmed(page);
	assert.equal((await rows(page, 'instances')).length, 4);
	asked.hangUp();
	await redis(server, ['DEL', 'user_msg_queue_lock:evil', `user_msg_queue_lock:${evil}`],
		['ZREM', 'user_msg_queue_index', 'evil', evil], ['ZREM', 'user_msg_queue_notes', 'evil', 'broken']);
});

test('who waits, by a hostile ticket and client, stays text, also in the question', async () => {
	const now = Date.now();
	await redis(server, ['ZADD', 'user_msg_queue_index', now, 'line'],
		['ZADD', 'user_msg_queue_wait:line', 1, evil], ['ZADD', 'user_msg_queue_alive:line', now + 600000, evil],
		['HSET', 'user_msg_queue_who:line', evil, `2 ${now - 2000} ${evil} - - 0 60000 - - - 1 1 1 - -`],
		['SET', 'user_msg_queue_lock:line', 'other.1:holder', 'PX', '60000']);
	const p = await openPage(browser, fleet[0], { hash: '#account=line' });
	await until('it is in line', async () => (await rows(p, 'waiters'))[0]?.[1].text === evil);
	assert.equal((await account('line')).waiters[0].ticket, evil);
	assert.equal(await p.locator('#waiters tbody tr').getAttribute('title'), evil);
	await p.locator('#waiters .name').click();
	assert.match(await p.locator('#request-details').textContent(), /<img\/src=x\/onerror=window\.pwned=1>/);
	await p.keyboard.press('Escape');
	await p.locator('#waiters .do button').click();
	assert.match(await p.locator('#confirm-text').textContent(), /^The request of <img\/src=x\/onerror=window\.pwned=1> is answered 503/);
	assert.equal(await p.locator('#confirm-target').textContent(), evil);
	await p.locator('#confirm-yes').click();
	await until('it is removed', async () => (await account('line')).waiting === 0 && await done(p) === 'Removed.');
	await isUnharmed(p);
	await closePage(p);
	await redis(server, ['DEL', 'user_msg_queue_lock:line'], ['ZREM', 'user_msg_queue_index', 'line']);
});

/* Every text of a document, but for times, is `evil`; what makes the page take another way isn't touched. */
function poison(value, name) {
	if (Array.isArray(value))
		return value.map((item) => poison(item, name));
	if (value !== null && typeof value === 'object')
		return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, poison(item, key)]));
	return typeof value !== 'string' || /^\d{4}-\d\d-\d\dT/.test(value) ? value : `${evil} ${name}`;
}

test('whatever the API says stays text: each value, and each error message', async () => {
	const held = ask(fleet[0], 'poisoned', 'poisoned-0', HOLDS);
	await reaches(relay, 'poisoned-0');
	held.second = ask(fleet[1], 'poisoned', 'poisoned-1');
	const asked = '/api/overview?account=poisoned';
	await until('it waits', async () => (await api(asked)).account?.waiting === 1);
	const told = poison(await api(asked)), lost = { ...told, account: null, accountError: `${evil} accountError`, error: `${evil} error` };
	const changes = { changes: [poison({ at: new Date().toISOString(), who: '', client: '', what: '', accountId: '', ticket: '', before: '', after: '' })] };
	let answer = { json: told };
	const p = await openPage(browser, fleet[0], { hash: '#account=poisoned', before: async (q) => {
		await q.route('**/api/**', (route) => route.fulfill(answer));
		await q.route('**/api/changes', (route) => route.fulfill({ json: changes }));
	} });
	const has = (selector, text) => until(`${selector} has ${text}`, async () => (await p.locator(selector).textContent()).includes(text));
	for (const [selector, member] of [['#facts', 'instance'], ['#accounts', 'accountId'], ['#accounts', 'state'], ['#account-why', 'instance'],
		['#account-why', 'client'], ['#waiters', 'client'], ['#instances', 'instance'], ['#instances', 'mode'], ['#instances', 'state'],
		['#rejections', 'outcome'], ['#rejections', 'account'], ['#rejections', 'client'], ['#changes', 'what']])
		await has(selector, `${evil} ${member}`);
	answer = { json: lost };
	await has('#notice', `${evil} error`);
	await has('#account-none', `${evil} accountError`);
	answer = { json: { ...told, account: { ...told.account, stuckBecause: `${evil} stuck`, state: 'stuck' } } };
	await has('#account-why', `Stuck: ${evil} stuck`);

	answer = { status: 400, json: { error: { code: evil, message: `${evil} refused` } } };
	await has('#notice', `turnstile says: ${evil} refused`);
	await p.locator('#pause').click();
	await has('#done', `Not done: ${evil} refused`);
	answer = { json: { ...poison(await api('/api/config')), enabled: true, delayMs: 1, timeoutMs: 1000 } };
	await p.route('**/api/overview?*', (route) => route.fulfill({ json: told }));
	await p.locator('#settings').click();
	await has('#edit-delayMs-source', `${evil} delayMs`);
	await p.locator('#edit-delayMs').fill('2');
	answer = { status: 400, json: { error: { code: evil, message: `${evil} no` } } };
	await p.locator('#edit-save').click();
	await has('#edit-error', `${evil} no`);
	await isUnharmed(p);
	await closePage(p);
	held.hangUp();
	held.second.hangUp();
});

/* Tries every way there is to reach `stranger`, and to run what isn't the page's own; so many `kinds` are refused. */
async function tryAll(p, stranger, kinds) {
	return p.evaluate(async ([to, kinds, most]) => {
		const refused = new Set();
		document.addEventListener('securitypolicyviolation', (e) => refused.add(e.effectiveDirective));
		const put = (tag, set) => document.body.append(Object.assign(document.createElement(tag), set));
		const frame = document.createElement('iframe');
		put('img', { src: `${to}/img-src` });
		put('script', { src: `${to}/script-src-elem` });
		put('link', { rel: 'stylesheet', href: `${to}/style-src-elem` });
		put('video', { src: `${to}/media-src` });
		put('object', { data: `${to}/object-src` });
		put('script', { textContent: 'window.ran = 1' });
		put('button', { id: 'inline' });
		document.getElementById('inline').setAttribute('onclick', 'window.ran = 1');
		document.getElementById('inline').click();
		frame.src = `${to}/frame-src`;
		document.body.append(frame);
		await fetch(`${to}/connect-src`).catch(() => {});
		try {
			new WebSocket(`${to.replace('http', 'ws')}/connect-src-2`).onerror = () => {};
		} catch {
			/* that is one way to refuse it */
		}
		frame.name = 'frame';
		put('form', { id: 'form', action: `${to}/form-action`, method: 'post', target: 'frame' });
		document.getElementById('form').submit();
		/* It is told of what is refused when that is tried, and of some a bit later. */
		const end = performance.now() + most;
		while (refused.size < (kinds || 1) && performance.now() < end)
			await new Promise((resolve) => { setTimeout(resolve, 20); });
		return { refused: [...refused].sort(), ran: window.ran ?? 0 };
	}, [stranger, kinds, kinds ? scaled(5000) : 300]);
}

test('it works without anybody else, and its policy forbids to ask them', async (t) => {
	const seen = new Set();
	const stranger = http.createServer((request, response) => {
		seen.add(request.url.slice(1));
		response.setHeader('access-control-allow-origin', '*');
		response.end();
	});
	stranger.on('upgrade', (request, socket) => {
		seen.add(request.url.slice(1));
		socket.destroy();
	});
	await new Promise((resolve) => { stranger.listen(0, '127.0.0.1', resolve); });
	t.after(() => new Promise((resolve) => {
		stranger.close(resolve);
		stranger.closeAllConnections();
	}));
	const origin = `http://127.0.0.1:${stranger.address().port}`;
	const kinds = ['connect-src', 'form-action', 'frame-src', 'img-src', 'media-src', 'object-src', 'script-src-elem', 'style-src-elem'];
	const strict = await openPage(browser, fleet[0], { unwatched: true });
	assert.deepEqual(await tryAll(strict, origin, kinds.length + 1), { refused: [...kinds, 'script-src-attr'].sort(), ran: 0 });
	assert.deepEqual([...seen], []);
	await closePage(strict);
	/* Without the policy all of that gets there, so it is the policy that keeps it. */
	const open = await openPage(browser, fleet[0], { unwatched: true, bypassCSP: true });
	assert.deepEqual(await tryAll(open, origin, 0), { refused: [], ran: 1 });
	await until('the stranger has seen it all', () => [...kinds, 'connect-src-2'].every((kind) => seen.has(kind)));
	await closePage(open);
	/* And what all pages of all tests asked for so far was the admin address's. */
	assert.deepEqual(complaints.filter((c) => c.startsWith('asks somebody else')), []);
});

test('what is served: light, cached, and open to nothing else', async () => {
	const fresh = await openPage(browser, fleet[0], { hash: '#account=alpha' });
	const parts = await fresh.evaluate(() => performance.getEntriesByType('resource').concat(performance.getEntriesByType('navigation'))
		.filter((e) => !e.name.includes('/api/')).map((e) => [new URL(e.name).pathname, e.encodedBodySize, e.decodedBodySize]));
	const [weight, unpacked] = [1, 2].map((i) => parts.reduce((n, part) => n + part[i], 0));
	console.log(`the page weighs ${weight} bytes in ${parts.length} parts, unpacked ${unpacked}`);
	assert.ok(parts.length > 10 && parts.every((part) => part[1] > 0), 'all parts came');
	assert.ok(unpacked < 190 * 1024);
	await closePage(fresh);
	for (const [path] of parts) {
		const response = await fetch(fleet[0].admin + path);
		assert.equal(response.status, 200);
		const policy = response.headers.get('content-security-policy');
		assert.match(policy, /default-src 'none'.*script-src 'self';.*style-src 'self';.*frame-ancestors 'none'/);
		assert.doesNotMatch(policy, /unsafe|\*|data:/);
		assert.deepEqual(['x-content-type-options', 'referrer-policy', 'cache-control'].map((n) => response.headers.get(n)),
			['nosniff', 'no-referrer', 'no-cache']);
		const again = await fetch(fleet[0].admin + path, { headers: { 'if-none-match': response.headers.get('etag') } });
		assert.equal(again.status, 304);
		assert.equal((await again.arrayBuffer()).byteLength, 0);
		await response.arrayBuffer();
	}
	assert.match(await (await fetch(`${fleet[0].admin}/dashboard/licences.txt`)).text(), /dygraphs[\s\S]*Permission is hereby granted/);
	assert.equal((await fetch(`${fleet[0].admin}/dashboard/none.js`)).status, 404);
	const plain = await fetch(`${fleet[0].admin}/`, { headers: { 'accept-encoding': 'identity' } });
	assert.equal(plain.headers.get('content-encoding'), null);
	assert.match(await plain.text(), /^<!doctype html>/);
});
