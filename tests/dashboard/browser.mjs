/*
 * browser.mjs - a Chromium, and what tests read off the page.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import { directory, scaled, start, until } from './fleet.mjs';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/* What went wrong in any page, for the last test. */
export const complaints = [];

/*
 * Started here and not by playwright-core, as that makes pages take themselves for visible and focused, always. Those
 * of new contexts do so (openPage()); those of its first one are as a person has them: one tab in front,
 * the others hidden.
 */
export async function startBrowser() {
	const p = start(process.env.CHROMIUM, ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
		'--no-proxy-server', '--disable-background-networking', '--disable-component-update', '--disable-sync',
		'--disable-extensions', '--disable-dev-shm-usage', '--disable-renderer-backgrounding', '--hide-scrollbars',
		'--remote-debugging-port=0', `--user-data-dir=${join(directory, 'chromium')}`], 'chromium');
	const line = await until('Chromium listens', () => p.log().match(/^DevTools listening on (.*)$/m), 60000);
	return chromium.connectOverCDP(line[1], { noDefaults: true, timeout: scaled(30000) });
}

/* Complains of scripts that fail, and of whatever the page asks anybody but `origin` for. */
function watch(page, origin) {
	const asks = (what) => {
		if (new URL(what.url()).origin !== origin)
			complaints.push(`asks somebody else: ${what.url()}`);
	};
	page.on('pageerror', (error) => complaints.push(`script: ${error}`));
	page.on('console', (message) => {
		if (message.type() === 'error' && !/Failed to load resource/.test(message.text()))
			complaints.push(`console: ${message.text()}`);
	});
	page.on('request', asks);
	page.on('websocket', asks);
}

export const isLive = (page) => page.waitForFunction(() => /^(Live|实时)$/.test(document.getElementById('freshness').textContent));

/*
 * A page that shows `turnstile`, with the first answer on it. `token`: without waiting for that; `before`: what is
 * done to the page first; `unwatched`: it does what it shouldn't.
 */
export async function openPage(browser, turnstile, { hash = '', token = false, before = null, unwatched = false, ...options } = {}) {
	const context = await browser.newContext({ viewport: { width: 1360, height: 900 }, ...options });
	const page = await context.newPage();
	page.setDefaultTimeout(scaled(30000));
	if (!unwatched)
		watch(page, turnstile.admin);
	await before?.(page);
	await page.goto(`${turnstile.admin}/${hash}`);
	if (!token)
		await isLive(page);
	return page;
}

export const closePage = (page) => page.context().close();

const text = (selector) => (page) => page.locator(selector).textContent();
export const notice = (page) => page.evaluate(() => {
	const p = document.getElementById('notice');
	return p.hidden ? '' : p.textContent;
});
export const done = text('#done');

/* Rows as lists of what their cells show; `value` of data-value where there is one. */
export function rows(page, id) {
	return page.evaluate((table) => [...document.querySelectorAll(`#${table} tbody tr`)].map((row) =>
		[...row.cells].map((cell) => ({ text: cell.textContent, value: cell.dataset.value ?? null }))), id);
}

/* A list of names and values. */
export function figures(page, id) {
	return page.evaluate((list) => Object.fromEntries([...document.querySelectorAll(`#${list} > div`)].map((div) =>
		[div.querySelector('dt').textContent, { text: div.querySelector('dd').textContent, value: div.querySelector('dd').dataset.value ?? null }])), id);
}

/* What it is called: by its label, else its text, else its id. */
export const focused = (p) => p.evaluate(() => {
	const at = document.activeElement;
	return at === document.body ? 'nothing' : at.getAttribute('aria-label') ?? (at.textContent.trim() || at.id);
});

export async function tabTo(p, name) {
	for (let i = 0; i < 80 && await focused(p) !== name; i++)
		await p.keyboard.press('Tab');
	assert.equal(await focused(p), name);
}

/* No finding of axe-core. */
export async function isAccessible(page, what) {
	/* The page's policy lets no other script in; the tools' own way in isn't bound by it. */
	if (!await page.evaluate(() => 'axe' in window))
		await page.evaluate(axe);
	const found = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }));
	assert.deepEqual(found.violations.map((v) => `${what}: ${v.id}: ${v.nodes.map((n) => n.html).join(' ')}`), []);
	assert.ok(found.passes?.length ?? found.testEngine, 'axe ran');
}
