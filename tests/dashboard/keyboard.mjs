/*
 * keyboard.mjs - the page with the keyboard alone: no click, and no focus but by Tab.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { closePage, done, figures, focused, isAccessible, openPage, rows, tabTo } from './browser.mjs';
import { ask, atRelay, hold, HOLDS, lineUp, startTurnstile, stop, until } from './fleet.mjs';
import { account, api, browser, fleet, page, relay, shows } from './stage.mjs';

const dialogs = (p) => p.locator('dialog[open]').count();
const isOpen = (p, name) => until(`${name} asks`, () => p.locator(`#${name}`).isVisible());
const isClosed = (p) => until('the dialog is closed', async () => await dialogs(p) === 0);

/* `name` has the focus: it asks, can be declined in two ways, and then is meant. The focus is there again. */
async function decideBy(p, name, yes, nothingHappened) {
	for (const decline of ['Escape', 'Enter']) {
		await p.keyboard.press('Enter');
		await isOpen(p, 'confirm');
		assert.equal(await focused(p), 'Cancel', 'who presses Enter twice loses nothing');
		await p.keyboard.press(decline);
		await isClosed(p);
		assert.equal(await focused(p), name);
		await nothingHappened();
	}
	await p.keyboard.press('Enter');
	await isOpen(p, 'confirm');
	await p.keyboard.press('Tab');
	assert.equal(await focused(p), yes);
	await p.keyboard.press('Enter');
	await isClosed(p);
}

test('200 accounts: sorted, searched, in pages; and with the keyboard alone', async () => {
	await Promise.all(Array.from({ length: 200 }, (_, i) => ask(fleet[i % 3], `crowd-${String(i).padStart(3, '0')}`, `c${i}`).ended));
	await shows('the crowd', async () => Number((await figures(page, 'tiles')).Accounts.value) >= 200);
	assert.match(await page.locator('#range').textContent(), /^1–20 of 2\d\d$/);
	const names = async () => (await rows(page, 'accounts')).map((r) => r[0].text);
	await tabTo(page, 'search');
	await page.keyboard.type('crowd-1');
	await shows('100 found', async () => (await page.locator('#range').textContent()).endsWith(' of 100'));
	await tabTo(page, 'Account');
	await page.keyboard.press('Enter');
	await shows('them by name', async () => (await names())[0] === 'crowd-100'
		&& await page.locator('th[data-sort=account]').getAttribute('aria-sort') === 'ascending');
	assert.equal(await focused(page), 'Account');
	await page.keyboard.press('Enter');
	await shows('them backwards', async () => (await names())[0] === 'crowd-199');
	await tabTo(page, 'Next');
	await page.keyboard.press('Enter');
	await shows('the next ones', async () => (await names())[0] === 'crowd-179' && (await names()).length === 20);
	await page.keyboard.press('Shift+Tab');
	await tabTo(page, 'crowd-170');
	await page.keyboard.press('Enter');
	await shows('the account', async () => await page.locator('#account-title').textContent() === 'crowd-170');
	assert.equal(await focused(page), 'crowd-170');
	await shows('its buttons', () => page.locator('#pause').isVisible());
	await tabTo(page, 'Pause');
	await page.keyboard.press('Space');
	await until('it is paused', async () => (await account('crowd-170')).paused);
	await shows('how to resume', () => page.locator('#resume').isVisible());
	assert.equal(await focused(page), 'Resume');
	await page.keyboard.press('Enter');
	await until('it is resumed', async () => !(await account('crowd-170')).paused);

	/* All of that is in the address: it can be loaded again, sent to somebody, and gone back from. */
	assert.match(page.url(), /#account=crowd-170&sort=account&q=crowd-1&offset=20$/);
	await page.reload();
	await shows('the same', async () => (await names())[0] === 'crowd-179'
		&& await page.locator('#account-title').textContent() === 'crowd-170'
		&& await page.inputValue('#search') === 'crowd-1');
	await page.goBack();
	await shows('what was before', async () => await page.locator('#account-title').textContent() !== 'crowd-170');
	assert.match(page.url(), /sort=account&q=crowd-1&offset=20$/);
	await page.goForward();
	await shows('it again', async () => await page.locator('#account-title').textContent() === 'crowd-170');
	await page.locator('#search').fill('');
});

test('with the keyboard alone: a turn is ended, waiters are removed', async () => {
	const held = [await hold(fleet[0], relay, 'keys', 'keys-0')];
	held.push(ask(fleet[1], 'keys', 'keys-1', HOLDS));
	await until('it waits', async () => (await account('keys')).waiting === 1);
	for (let i = 2; i <= 3; i++)
		held.push(await lineUp(fleet[2], 'keys', `keys-${i}`, i));
	const p = await openPage(browser, fleet[0], { hash: '#account=keys' });
	const inLine = async () => (await rows(p, 'waiters')).length;
	await until('three are in line', async () => await inLine() === 3);

	const holder = (await account('keys')).lockHolder;
	await tabTo(p, 'End turn');
	await decideBy(p, 'End turn', 'End the turn', async () => assert.equal((await account('keys')).lockHolder, holder));
	assert.equal(await focused(p), 'End turn');
	await until('the next one has the turn', () => atRelay(relay, 'keys-1'));
	await until('two are in line', async () => await inLine() === 2);

	const first = 'Remove number 1 from the line';
	await tabTo(p, first);
	await decideBy(p, first, 'Remove', async () => assert.equal((await account('keys')).waiting, 2));
	assert.equal((await held[2].ended).status, 503);
	await until('one is in line', async () => await inLine() === 1);
	await until('the focus is on the next one', async () => await focused(p) === first);
	await p.keyboard.press('Enter');
	await isOpen(p, 'confirm');
	await p.keyboard.press('Tab');
	await p.keyboard.press('Enter');
	assert.equal((await held[3].ended).status, 503);
	await until('nobody is in line', async () => await inLine() === 0);
	assert.equal(await focused(p), 'keys', 'the account that the line was of');
	held.forEach((r) => r.hangUp());
	await closePage(p);
});

test('with the keyboard alone: a setting is changed, or not', async () => {
	const p = await openPage(browser, fleet[0]);
	const delay = async () => (await api('/api/config')).delayMs;
	const openSettings = async () => {
		await tabTo(p, 'Settings');
		await p.keyboard.press('Enter');
		await isOpen(p, 'edit');
		await tabTo(p, 'edit-delayMs');
		await p.keyboard.press('Control+A');
	};
	await openSettings();
	await p.keyboard.type('111');
	await p.keyboard.press('Escape');
	await isClosed(p);
	assert.equal(await focused(p), 'Settings');
	await openSettings();
	await p.keyboard.type('112');
	await tabTo(p, 'Cancel');
	await p.keyboard.press('Enter');
	await isClosed(p);
	assert.equal(await delay(), 0);

	await openSettings();
	await p.keyboard.type('99999');
	await p.keyboard.press('Enter');
	await until('it is refused', async () => /^delayMs: /.test(await p.locator('#edit-error').textContent()));
	await tabTo(p, 'edit-delayMs');
	await p.keyboard.press('Control+A');
	await p.keyboard.type('113');
	await p.keyboard.press('Enter');
	await isClosed(p);
	await until('it is saved', async () => await done(p) === 'Saved.');
	assert.equal(await focused(p), 'Settings');
	await until('it counts', async () => await delay() === 113);

	await p.keyboard.press('Enter');
	await isOpen(p, 'edit');
	await tabTo(p, 'Back to the configuration');
	await p.keyboard.press('Enter');
	await isClosed(p);
	await until('the configured value counts', async () => await delay() === 0);
	await closePage(p);
});

test('a token that may only look: nothing is offered that would be refused, and changes are seen', async () => {
	const eye = 'a-token-that-may-look', hand = 'a-token-that-may-change';
	const guarded = await startTurnstile('watched', { relay, options: { 'admin.tokens': `eye:read:${eye}, hand:write:${hand}` } });
	const page = await openPage(browser, guarded, { token: true, hash: '#account=x' });
	await page.locator('#token-input').waitFor();
	await page.keyboard.type(eye);
	await page.keyboard.press('Enter');
	await until('it is let in', async () => await page.locator('#freshness').textContent() === 'Live');
	assert.equal(await page.locator('#settings').isVisible(), false);
	assert.equal(await page.locator('#pause').isVisible(), false);
	const changed = await fetch(`${guarded.admin}/api/config`, { method: 'PUT', body: '{"delayMs":7}',
		headers: { authorization: `Bearer ${hand}`, 'content-type': 'application/json' } });
	assert.equal(changed.status, 200);
	await until('the change is seen', async () => (await page.locator('#changes tbody tr').allTextContents()).some((t) => t.includes('handsetting changeddelayMs')));
	await isAccessible(page, 'changes');
	await closePage(page);
	await stop(guarded);
});

test('a token, with the keyboard alone: asked for, a wrong one refused, kept by the tab only', async () => {
	const token = 'a-token-of-24-characters';
	const guarded = await startTurnstile('guarded', { relay, options: { 'admin.token': token } });
	const secret = await openPage(browser, guarded, { token: true });
	const input = secret.locator('#token-input');
	await input.waitFor();
	assert.equal(await secret.locator('#accounts tbody tr').count(), 0);
	await isAccessible(secret, 'token');
	assert.equal(await focused(secret), 'token-input');
	await secret.keyboard.type('not-the-token-not-the-token');
	await secret.keyboard.press('Enter');
	await until('it is refused', async () => await secret.locator('#token-error').textContent() === 'That was not the token.');
	await until('it is asked again', async () => await focused(secret) === 'token-input' && await input.inputValue() === '');
	await secret.keyboard.insertText('schlüssel\u{1f511}');
	await secret.keyboard.press('Enter');
	await until('it is refused as well', () => input.isVisible());
	await secret.keyboard.press('Escape');
	await until('it is asked for still', async () => await focused(secret) === 'token-input' && await input.inputValue() === '');
	await secret.keyboard.type(token);
	await secret.keyboard.press('Enter');
	await until('it is let in', async () => await secret.locator('#freshness').textContent() === 'Live');
	assert.deepEqual(await secret.evaluate(() => [localStorage.length, document.cookie, location.href.includes('token')]), [0, '', false]);
	await secret.reload();
	await until('a reload keeps it', async () => await secret.locator('#freshness').textContent() === 'Live');
	const other = await secret.context().newPage();
	await other.goto(`${guarded.admin}/`);
	await other.locator('#token-input').waitFor(); /* another tab doesn't have it */
	await other.close();
	await tabTo(secret, 'Forget token');
	await secret.keyboard.press('Enter');
	await input.waitFor();
	await closePage(secret);
	await stop(guarded);
});
