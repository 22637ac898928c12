/*
 * stage.mjs - what all tests of the page share: a Chromium, three turnstiles, Redis, a relay, and an open page.
 */
import assert from 'node:assert/strict';
import { after, before, beforeEach } from 'node:test';
import { done, isLive, openPage, rows, startBrowser } from './browser.mjs';
import { accountOf, json, startRedis, startRelay, startTurnstile, stopAll, until } from './fleet.mjs';

export let browser, server, relay, fleet, page;

before(async () => {
	relay = await startRelay();
	server = await startRedis();
	fleet = await Promise.all(['web1', 'web2', 'web3'].map((name) => startTurnstile(name, { redis: server, relay })));
	browser = await startBrowser();
	page = await openPage(browser, fleet[0]);
});

/* Also behind a test that failed and left it elsewhere. */
beforeEach(async () => {
	if (!page.url().startsWith(fleet[0].admin)) {
		await page.goto(`${fleet[0].admin}/`);
		await isLive(page);
	}
});

after(async () => {
	/* Not waited for: a page that a failed test left in the middle of something may keep its browser from answering. */
	browser?.close().catch(() => {});
	assert.deepEqual(await stopAll(), []);
});

export const api = (path, options) => json(`${fleet[1].admin}${path}`, options);
export const account = (name) => accountOf(fleet[1], name);
export const shows = (what, condition) => until(`the page shows ${what}`, condition);
export const rowOf = async (table, name) => (await rows(page, table)).find((cells) => cells[0].text === name);
export const click = (name) => page.getByRole('button', { name, exact: true }).click();
export const said = (text) => shows(text, async () => (await done(page)).includes(text));
export const answer = (yes) => page.locator('#confirm').getByRole('button', { name: yes, exact: true }).click();

export async function choose(name) {
	await page.locator('#accounts .name', { hasText: name }).first().click();
	await shows(`the account ${name}`, async () => await page.locator('#account-title').textContent() === name
		&& await page.locator('#account-body').isVisible());
}

/* Clicks what leads to a question, and answers it. */
export async function confirmed(button, yes) {
	await button.click();
	await answer(yes);
}

/* On the port where it was. */
export async function restartRedis() {
	server = await startRedis(server.port);
}

/*
 * Five minutes of an account, put into Redis as scripts would have: one turn after the other, and now and
 * then many who want one at the same time. Every run has the same.
 */
export function pastOf(name) {
	let seed = 7;
	const random = () => {
		seed = (seed * 48271) % 2147483647;
		return seed / 2147483647;
	};
	const end = Date.now() - 6000, turns = [];
	let free = end - 295000;
	for (let joined = free; joined < end; joined += random() < 0.3 ? 300 : 9000 * random()) {
		const start = Math.max(free, joined), hold = 1500 + 3500 * random();
		if (start - joined > 16000) {
			turns.push([joined + 16000, 16000, -1]);
			continue;
		}
		free = start + hold;
		if (free < end)
			turns.push([free, start - joined, hold]);
	}
	turns.sort((a, b) => a[0] - b[0]);
	const key = `user_msg_queue_times:${name}`;
	return [...turns.map((turn) => ['LPUSH', key, turn.map(Math.round).join(' ')]), ['PEXPIRE', key, 300000]];
}
