/*
 * main.js - asks once a second what there is to show, and shows it.
 *
 *      GET /api/overview ──> fleet.js, table.js, account.js ──> 1 s after asking, again
 *
 * While the tab is hidden nothing is asked. Where an answer fails to come what was shown stays, marked
 * as old, and it is asked more slowly.
 */
import { readAddress, writeAddress } from './address.js';
import { ApiError, forgetToken, hasToken, onTokenNeeded, request } from './api.js';
import { showAccount, startAccount } from './account.js';
import { askForToken, confirm, editSettings } from './dialogs.js';
import { showAccess, showChanges } from './changes.js';
import { byId, duration, setText } from './dom.js';
import { showFleet } from './fleet.js';
import { PAGE, showTable, showView, startTable, view } from './table.js';

const EVERY_MS = 1000, SLOWEST_MS = 5000;

let chosen = null;
let timer = 0, asking = false, again = false, failures = 0, shownAt = 0;

function query() {
	const q = new URLSearchParams({ sort: view.sort, order: view.order, limit: PAGE, offset: view.offset });
	if (chosen !== null)
		q.set('account', chosen);
	if (view.q)
		q.set('q', view.q);
	return `/api/overview?${q}`.replaceAll('+', '%20');
}

function notice(text) {
	byId('notice').hidden = !text;
	setText(byId('notice'), text);
}

function show(overview) {
	shownAt = performance.now();
	document.body.classList.remove('old');
	notice(overview.error ? `${overview.error}: who holds and who waits isn’t known. What this process knows of itself is shown.`
		: overview.self.draining ? 'This instance is shutting down.' : '');
	showAccess(overview);
	showFleet(overview);
	showTable(overview, chosen);
	showAccount(overview.account, chosen, overview.accountError);
	byId('forget-token').hidden = !hasToken();
}

const inWords = (error) => error instanceof ApiError ? error.message : 'turnstile can’t be reached';

function showFailure(error) {
	document.body.classList.add('old');
	notice(error instanceof ApiError ? `turnstile says: ${inWords(error)}`
		: `${inWords(error)}. What you see is what it was; it is asked again.`);
}

function showFreshness() {
	const age = performance.now() - shownAt;
	setText(byId('freshness'), !shownAt ? 'Asking …' : document.hidden ? 'Not asked while hidden'
		: age < 2500 ? 'Live' : `${duration(age)} old`);
}

/* Anything may ask at any time; there is one question at a time. */
async function ask() {
	clearTimeout(timer);
	if (asking) {
		again = true;
		return;
	}
	if (document.hidden)
		return;
	const began = performance.now();
	asking = true;
	again = false;
	try {
		const overview = await request('GET', query());
		failures = 0;
		if (!again)
			show(overview);
		await showChanges(overview, request);
	} catch (error) {
		failures++;
		showFailure(error);
	}
	asking = false;
	showFreshness();
	const wait = Math.min(EVERY_MS * 2 ** Math.min(failures, 3), SLOWEST_MS);
	timer = setTimeout(ask, again ? 0 : Math.max(wait - (performance.now() - began), 0));
}

function choose(account) {
	writeAddress(account, view, account !== chosen);
	chosen = account;
	showAccount(null, chosen);
	ask();
	if (account !== null && matchMedia('(max-width: 60rem)').matches)
		byId('account').scrollIntoView();
}

function say(text) {
	setText(byId('done'), text);
	setTimeout(() => {
		if (byId('done').textContent === text)
			setText(byId('done'), '');
	}, 6000);
}

async function act(question, done, method, path) {
	if (question && !await confirm(question))
		return;
	try {
		await request(method, path);
		say(done);
	} catch (error) {
		say(`Not done: ${inWords(error)}`);
	}
	ask();
}

async function edit(account) {
	try {
		const done = await editSettings(account);
		if (done)
			say(done);
	} catch (error) {
		say(`Not done: ${inWords(error)}`);
	}
	ask();
}

onTokenNeeded(askForToken);
startTable((isView) => {
	if (isView)
		writeAddress(chosen, view, false);
	ask();
}, choose);
startAccount(act, () => {
	choose(null);
	byId('accounts-title').focus();
}, edit);
byId('settings').addEventListener('click', () => edit(null));
byId('forget-token').addEventListener('click', () => {
	forgetToken();
	ask();
});
document.addEventListener('visibilitychange', () => {
	showFreshness();
	ask();
});
/* Opened, typed by hand, or gone back to. */
function goToAddress() {
	const address = readAddress();
	if (!address)
		return; // the skip link
	const { account, ...looked } = address;
	showView(looked);
	chosen = account;
	showAccount(null, chosen);
}

addEventListener('popstate', () => {
	goToAddress();
	ask();
});
setInterval(showFreshness, 1000);
goToAddress();
ask();
