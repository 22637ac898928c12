/*
 * browser.mjs - a Chromium, and what tests read off the page.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { chromium } from 'playwright-core';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/* What went wrong in any page, for the last test. */
export const complaints = [];

export function startBrowser() {
	return chromium.launch({
		executablePath: process.env.CHROMIUM,
		args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--no-proxy-server',
			'--disable-background-networking', '--disable-component-update', '--disable-sync', '--disable-dev-shm-usage'],
	});
}

/* A page that shows `turnstile`, with the first answer on it. */
export async function openPage(browser, turnstile, { hash = '', token = false, ...options } = {}) {
	const context = await browser.newContext({ viewport: { width: 1360, height: 900 }, ...options });
	const page = await context.newPage();
	page.setDefaultTimeout(15000);
	page.on('pageerror', (error) => complaints.push(`script: ${error}`));
	page.on('console', (message) => {
		if (message.type() === 'error' && !/Failed to load resource/.test(message.text()))
			complaints.push(`console: ${message.text()}`);
	});
	await page.goto(`${turnstile.admin}/${hash}`);
	if (!token)
		await page.waitForFunction(() => document.getElementById('freshness').textContent === 'Live');
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

/* No serious or critical finding of axe-core. */
export async function isAccessible(page, what) {
	/* The page's policy lets no other script in; the tools' own way in isn't bound by it. */
	await page.evaluate(axe);
	const found = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }));
	const grave = found.violations.filter((v) => v.impact === 'serious' || v.impact === 'critical');
	assert.deepEqual(grave.map((v) => `${what}: ${v.id}: ${v.nodes.map((n) => n.html).join(' ')}`), []);
	assert.ok(found.passes?.length ?? found.testEngine, 'axe ran');
}
