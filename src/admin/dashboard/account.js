/*
 * account.js - the chosen account: what it waits for, who is in line, and the orders about it.
 */
import { accountPath } from './api.js';
import { showTimeline } from './charts.js';
import { byId, figures, h, keep, setAttribute, setText, setValue, swap } from './dom.js';
import { count, duration, named, percent, said, sentences, text } from './language.js';
import { openRequest, showRequest } from './request.js';
import { heldText, holderText, stateOf } from './table.js';

const WAITERS_SHOWN = 100;
let account = null; /* as it was shown last */

const NO_SHARE = '-'; /* of those of whom nothing is known */

function holderSentence(a) {
	if (a.holders.length > 1)
		return text(a.turns ? 'turns taken of' : 'turns taken', { n: a.holders.length, of: a.turns });
	if (!a.holder)
		return text(a.waiting ? 'nobody has' : 'nobody at all');
	const holder = holderText(a.holder);
	if (a.holder.state === 'pacing')
		return text('is next', { holder });
	if (a.holder.heldMs === null)
		return text('other program', { holder });
	return text('has had', { holder, time: duration(a.holder.heldMs), waited: duration(a.holder.waitedMs) });
}

function whyText(a) {
	const parts = a.shadowOf ? [text('is shadow', { account: a.shadowOf })] : [];
	if (a.state === 'stuck')
		parts.push(text('is stuck', { why: said(a.stuckBecause) }));
	if (a.paused)
		parts.push(text('is paused', { time: duration(Date.now() - Date.parse(a.pausedAt)) }));
	if (a.held)
		parts.push(text('is limited', { reason: named('limit', a.held.reason), time: duration(Math.max(0, until(a.held.until))) }));
	for (const f of a.heldFamilies)
		parts.push(text('family limited', { family: f.family, time: duration(Math.max(0, until(f.until))) }));
	parts.push(holderSentence(a));
	if (a.stalled && a.state !== 'stuck')
		parts.push(text('is stalled'));
	if (a.waiting)
		parts.push(text('are in line', { n: a.waiting, time: duration(a.oldestWaitMs) }));
	return sentences(parts);
}

const until = (time) => time === null ? null : Date.parse(time) - Date.now();

/* A window each; the bar is for the eye, the number beside it for everybody. */
function showQuota(a) {
	const windows = a.quota?.windows ?? [];
	byId('quota').hidden = !windows.length;
	keep(byId('quota').tBodies[0], windows, (w) => w.window,
		() => h('tr', {}, h('th', { scope: 'row' }), h('td', { class: 'num' }, h('meter', { min: '0', max: '1', high: '0.8' }), h('span')),
			h('td'), h('td', { class: 'num' })),
		(row, w) => {
			const [name, used, status, resets] = row.cells;
			const [bar, part] = used.children;
			setText(name, named('window', w.window));
			bar.hidden = w.used === null;
			bar.value = Math.min(w.used ?? 0, 1);
			setAttribute(bar, 'aria-label', text('used of', { window: name.textContent }));
			setText(part, w.used === null ? '–' : percent(w.used));
			setText(status, w.status ? named('quota', w.status) : '–');
			setValue(resets, until(w.resets), w.resets === null ? '–' : duration(Math.max(0, until(w.resets))));
		});
}

function showFigures(a) {
	const { waitMs, holdMs, turns, left } = a.last5Minutes;
	figures(byId('figures'), [
		{ name: text('turns'), value: turns, text: count(turns), title: text('turns.more') },
		{ name: text('left'), value: left, text: count(left), title: text('left.more') },
		{ name: text('wait p50'), value: waitMs.p50, text: duration(waitMs.p50) },
		{ name: text('wait p99'), value: waitMs.p99, text: duration(waitMs.p99) },
		{ name: text('hold p50'), value: holdMs.p50, text: duration(holdMs.p50) },
		{ name: text('hold p99'), value: holdMs.p99, text: duration(holdMs.p99) },
	]);
}

/* Where all are of one share that nobody gave a name, there is nothing to tell. */
function showShares(a) {
	const shares = a.last5Minutes.shares;
	byId('shares').hidden = shares.length < 2 && (shares[0]?.share ?? NO_SHARE) === NO_SHARE;
	keep(byId('shares').tBodies[0], shares, (s) => s.share ?? '',
		() => h('tr', {}, h('th', { scope: 'row', class: 'cut' }), ...[1, 2, 3, 4].map(() => h('td', { class: 'num' }))),
		(row, s) => {
			const [name, waiting, turns, left, held] = row.cells;
			setText(name, s.share ?? text('others'));
			setValue(waiting, s.waiting, count(s.waiting));
			setValue(turns, s.turns, count(s.turns));
			setValue(left, s.left, count(s.left));
			setValue(held, s.heldMs, duration(s.heldMs));
		});
}

/* One who has a turn, or waits for one. */
const makePerson = (name, act) => (p) => {
	const button = h('button', { type: 'button', class: 'quiet' }, name);
	button.addEventListener('click', () => act(p));
	const client = h('button', { type: 'button', class: 'name' });
	client.addEventListener('click', () => openRequest(account, p.ticket));
	return h('tr', { title: p.ticket }, h('td', { class: 'num' }), h('th', { scope: 'row', class: 'cut' }, client), h('td', { class: 'wide roomy cut' }),
		h('td', { class: 'cut' }), h('td', { class: 'wide roomy' }), h('td', { class: 'num' }), h('td', { class: 'do' }, button));
};

function fillPerson(row, number, p, ms, time, label) {
	const [place, client, instance, share, mark, since, action] = row.cells;
	setText(place, String(number));
	const name = p.client ?? p.instance ?? '–';
	setText(client.firstElementChild, name);
	setAttribute(client.firstElementChild, 'aria-label', text('open', { client: name }));
	setText(instance, p.instance ?? '–');
	setText(share, p.share ?? '–');
	setText(mark, p.mark ?? '–');
	setValue(since, ms, time);
	setAttribute(action.firstElementChild, 'aria-label', label);
}

function showHolders(a, end) {
	byId('holders').hidden = !a.holders.length;
	keep(byId('holders').tBodies[0], a.holders, (p) => p.ticket, makePerson(text('end'), end), (row, p) =>
		fillPerson(row, a.holders.indexOf(p) + 1, p, p.heldMs, heldText(p), text('end of', { holder: holderText(p) })));
}

function showWaiters(a, remove) {
	const shown = a.waiters.slice(0, WAITERS_SHOWN);
	const body = byId('waiters').tBodies[0];
	const focused = body.contains(document.activeElement);
	keep(body, shown, (p) => p.ticket, makePerson(text('remove'), remove), (row, p) =>
		fillPerson(row, p.position, p, p.waitedMs, duration(p.waitedMs), text('remove number', { n: p.position })));
	if (focused && !shown.length)
		byId('account-title').focus({ preventScroll: true }); /* the button is gone, and there is no other one */
	byId('waiters').hidden = !shown.length;
	byId('waiters-empty').hidden = shown.length > 0;
	byId('waiters-more').hidden = a.waiting <= shown.length;
	setText(byId('waiters-more'), text('waiters more', { n: a.waiting - shown.length }));
}

let orders = {};

/* `a`: of the overview; null: none is chosen, it isn't there yet, or, as `error` says, can't be had. */
export function showAccount(a, chosen, error) {
	byId('account-body').hidden = !a;
	byId('account-none').hidden = chosen !== null && !error;
	setText(byId('account-none'), error ? said(error) : text('choose'));
	byId('account-close').hidden = chosen === null;
	setText(byId('account-title'), a?.shadowOf ?? chosen ?? text('no account'));
	account = a;
	if (!a)
		return;
	setText(byId('account-why'), whyText(a));
	setAttribute(byId('account-why'), 'data-state', stateOf(a));
	byId('account').classList.toggle('shadow', a.shadowOf !== null);
	if (a.paused)
		swap(byId('pause'), byId('resume'));
	else
		swap(byId('resume'), byId('pause'));
	byId('force').disabled = !a.isLocked;
	setText(byId('force'), text(a.holders.length > 1 ? 'end turns' : 'end turn'));
	showQuota(a);
	showFigures(a);
	showShares(a);
	showHolders(a, orders.end);
	showWaiters(a, orders.remove);
	showTimeline(a);
	showRequest(a);
}

/*
 * `act(question, done, method, path)` asks the person if there is a question, sends the order and
 * tells how it went.
 */
export function startAccount(act, close, edit) {
	const path = () => accountPath(account.accountId);

	orders.remove = (w) => act({
		title: text('remove.title'),
		text: text('remove.text', { client: w.client ?? text('this client') }),
		target: w.ticket, yes: text('remove'),
	}, text('removed'), 'DELETE', `${path()}/waiters/${encodeURIComponent(w.ticket)}`);
	byId('holders').append(byId('waiters').tHead.cloneNode(true));
	const end = (title, target, yes, done, which) => act({
		title, text: text('end.text'), target, yes,
	}, done, 'DELETE', `${path()}/lock${which}`);
	orders.end = (p) => end(text('end.title'), p.ticket, text('end.yes'), text('turn ended'), `/${encodeURIComponent(p.ticket)}`);
	byId('pause').addEventListener('click', () => act(null, text('is paused now'), 'POST', `${path()}/pause?unseen=1`));
	byId('resume').addEventListener('click', () => act(null, text('is resumed'), 'POST', `${path()}/resume`));
	byId('force').addEventListener('click', () => {
		const tickets = account.holders.map((p) => p.ticket).join(' ');
		if (account.holders.length > 1)
			end(text('end all.title'), tickets, text('end all.yes'), text('turns ended'), '');
		else
			end(text('end.title'), tickets, text('end.yes'), text('turn ended'), '');
	});
	byId('account-settings').addEventListener('click', () => edit(account.shadowOf ?? account.accountId));
	byId('account-close').addEventListener('click', close);
}
