/*
 * main.js - asks once a second what there is to show, and shows it.
 *
 *      GET /api/overview ──> fleet.js, table.js, account.js ──> 1 s after asking, again
 *
 * While the tab is hidden nothing is asked. Where an answer fails to come what was shown stays, marked
 * as old, and it is asked more slowly.
 */
import { readAddress, writeAddress } from './address.js';
import { ApiError, forgetToken, hasToken, inWords, onTokenNeeded, request } from './api.js';
import { showAccount, startAccount } from './account.js';
import { askForToken, confirm, editSettings } from './dialogs.js';
import { showAccess, showChanges } from './changes.js';
import { byId, markCut, setText } from './dom.js';
import { showHistory, startHistory } from './history.js';
import { showFleet } from './fleet.js';
import { duration, said, text, valueNamed } from './language.js';
import { PAGE, showTable, showView, startTable, view } from './table.js';

const EVERY_MS = 1000, SLOWEST_MS = 5000;

let chosen = null, hours = null; /* the account; of its history, or of all */
let timer = 0, asking = false, again = false, failures = 0, shownAt = 0;

function query() {
	const q = new URLSearchParams({ sort: view.sort, order: view.order, limit: PAGE, offset: view.offset });
	if (chosen !== null)
		q.set('account', chosen);
	if (view.q)
		q.set('q', valueNamed('state', view.q) ?? view.q); /* the API knows states by its own names */
	return `/api/overview?${q}`.replaceAll('+', '%20');
}

function notice(words) {
	byId('notice').hidden = !words;
	setText(byId('notice'), words);
}

function show(overview) {
	shownAt = performance.now();
	document.body.classList.remove('old');
	notice(overview.error ? text('unknown', { error: said(overview.error) }) : overview.self.draining ? text('shutting down') : '');
	showAccess(overview);
	showFleet(overview);
	showTable(overview, chosen);
	showAccount(overview.account, chosen, overview.accountError);
	byId('forget-token').hidden = !hasToken();
}

function showFailure(error) {
	document.body.classList.add('old');
	notice(text(error.status ? 'says' : 'as it was', { error: inWords(error) }));
}

function showFreshness() {
	const age = performance.now() - shownAt;
	setText(byId('freshness'), !shownAt ? text('asking') : document.hidden ? text('hidden')
		: age < 2500 ? text('live') : text('old', { age: duration(age) }));
}

async function showNews() {
	const overview = await request('GET', query());
	failures = 0;
	if (!again)
		show(overview);
	await showChanges(overview, request);
	markCut();
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
		await showNews();
	} catch (error) {
		if (!(error instanceof ApiError))
			throw error; /* a mistake of ours, no outage */
		failures++;
		showFailure(error);
	} finally {
		asking = false;
		showFreshness();
		const wait = Math.min(EVERY_MS * 2 ** Math.min(failures, 3), SLOWEST_MS);
		timer = setTimeout(ask, again ? 0 : Math.max(wait - (performance.now() - began), 0));
	}
}

function choose(account) {
	writeAddress(account, hours, view, account !== chosen);
	chosen = account;
	showAccount(null, chosen);
	showHistory(chosen, hours);
	ask();
	if (account !== null && matchMedia('(max-width: 72rem)').matches)
		byId('account').scrollIntoView();
}

function say(words) {
	setText(byId('done'), words);
	setTimeout(() => {
		if (byId('done').textContent === words)
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
		say(text('not done', { error: inWords(error) }));
	}
	ask();
}

async function edit(account) {
	try {
		const done = await editSettings(account);
		if (done)
			say(done);
	} catch (error) {
		say(text('not done', { error: inWords(error) }));
	}
	ask();
}

onTokenNeeded(askForToken);
startTable((isView) => {
	if (isView)
		writeAddress(chosen, hours, view, false);
	ask();
}, choose);
startAccount(act, () => {
	choose(null);
	byId('accounts-title').focus();
}, edit);
startHistory((wanted) => {
	writeAddress(chosen, wanted, view, true);
	hours = wanted;
	showHistory(chosen, hours);
});
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
	const { account, hours: wanted, ...looked } = address;
	showView(looked);
	chosen = account;
	hours = wanted;
	showAccount(null, chosen);
	showHistory(chosen, hours);
}

addEventListener('popstate', () => {
	goToAddress();
	ask();
});
addEventListener('resize', markCut);
setInterval(showFreshness, 1000);
goToAddress();
ask();
