/*
 * looks.mjs - light, dark and on a phone, in front of a fleet with all states there are; makes the screenshots.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { closePage, isAccessible, openPage, rows } from './browser.mjs';
import { accountOf, ask, hold, json, lineUp, redis, startRedis, startTurnstile, stop, until } from './fleet.mjs';
import { browser, pastOf, relay } from './stage.mjs';

/* A fleet as one may have it, with all states there are. */
async function startScene() {
	const own = await startRedis();
	const three = await Promise.all(['web1', 'web2', 'web3'].map((name) =>
		/* they wait as long as a busy machine needs to look at them from all sides */
		startTurnstile(name, { redis: own, relay, options: { 'queue.delay_ms': '400', 'queue.timeout_ms': '300000',
			'queue.startup_cleanup': 'off' } }))); /* it would free the stuck account, if it came late */
	const put = (path, method, body) => json(three[0].admin + path, { method, headers: { 'content-type': 'application/json' }, body });
	await redis(own, ...pastOf('team-red'), ['SET', 'user_msg_queue_lock:legacy-relay', '2857ccbe-dce0-4f19-8982-b2c47167c615'],
		['ZADD', 'user_msg_queue_index', Date.now(), 'legacy-relay']);
	const timeoutMs = 1000;
	await put('/api/queues/ci/config', 'PUT', JSON.stringify({ timeoutMs }));
	await until('web3 has it', async () => (await json(`${three[2].admin}/api/queues/ci/config`)).timeoutMs === timeoutMs);
	const held = await Promise.all([['team-red', 1], ['ci', 2], ['team-green', 0]].map(([name, i]) => hold(three[i], relay, name, `scene-${name}`)));
	const late = ask(three[2], 'ci', 'scene-late'); /* ends by itself, whether or not anybody has seen it in line */
	for (let i = 1; i <= 5; i++)
		held.push(await lineUp(three[i % 3], 'team-red', `scene-red-${i}`, i));
	const refused = await late.ended;
	assert.deepEqual([refused.status, JSON.parse(refused.body).error.type], [503, 'queue_timeout']);
	await ask(three[0], 'team-blue', 'scene-blue-0').ended; /* only an account that somebody has had can be paused */
	await put('/api/queues/team-blue/pause', 'POST');
	held.push(await lineUp(three[0], 'team-blue', 'scene-blue-1', 1), await lineUp(three[1], 'team-blue', 'scene-blue-2', 2));
	const last = (await accountOf(three[0], 'team-blue')).waiters[1].ticket;
	await put(`/api/queues/team-blue/waiters/${encodeURIComponent(last)}`, 'DELETE');
	await held.pop().ended;
	/* Listed as free for a while only. */
	const quick = ['alice@example.com', 'bob@example.com', 'key-f77894fdfa58e447', 'key-2c26b46b68ffc68f', 'staging'];
	const askQuick = () => Promise.all(quick.map((name, i) => ask(three[i % 3], name, `quick-${i}`).ended));
	return { three, askQuick, end: () => Promise.all([...three.map((t) => stop(t)), ...held.map((r) => r.hangUp())]).then(() => stop(own)) };
}

test('light, dark and on a phone: no finding of axe; and screenshots', async () => {
	const scene = await startScene();
	const looks = {
		light: { colorScheme: 'light', viewport: { width: 1280, height: 800 } },
		dark: { colorScheme: 'dark', viewport: { width: 1280, height: 800 } },
		phone: { colorScheme: 'light', viewport: { width: 375, height: 812 }, hasTouch: true, isMobile: true },
	};
	for (const [name, look] of Object.entries(looks)) {
		await scene.askQuick();
		const p = await openPage(browser, scene.three[0], { hash: '#account=team-red', ...look });
		await until('it is complete', async () => (await rows(p, 'waiters')).length === 5 && (await rows(p, 'instances')).length === 3
			&& (await rows(p, 'rejections')).length === 2 && await p.locator('#charts canvas').count() === 6);
		assert.ok(await p.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${name}: nothing sticks out`);
		assert.deepEqual(new Set((await rows(p, 'accounts')).map((r) => r[1].text)), new Set(['●busy', '▲stuck', 'Ⅱpaused', '○free']));
		await isAccessible(p, name);
		await p.screenshot({ path: `${name}.png`, fullPage: true });
		if (name !== 'phone') {
			await p.locator('#settings').click();
			await p.locator('#edit').waitFor();
			await isAccessible(p, `${name}, settings`);
			await p.keyboard.press('Escape');
			await p.locator('#force').click();
			await p.locator('#confirm').waitFor();
			await isAccessible(p, `${name}, question`);
		}
		await closePage(p);
	}
	await scene.end();
});
