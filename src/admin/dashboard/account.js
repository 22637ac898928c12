/*
 * account.js - the chosen account: what it waits for, who is in line, and the orders about it.
 */
import { accountPath } from './api.js';
import { showTimeline } from './charts.js';
import { byId, count, duration, figures, h, keep, setAttribute, setText, setValue, swap } from './dom.js';
import { heldText, holderText } from './table.js';

const WAITERS_SHOWN = 100;
let account = null; /* as it was shown last */

const NO_SHARE = '-'; /* of those of whom nothing is known */

function holderSentence(a) {
	if (a.holders.length > 1)
		return `${count(a.holders.length)} turns are taken${a.turns ? ` of ${count(a.turns)}` : ''}.`;
	if (!a.holder)
		return a.waiting ? 'Nobody has the turn.' : 'Nobody has the turn, nobody waits.';
	const who = holderText(a.holder);
	if (a.holder.state === 'pacing')
		return `Next is ${who}, as soon as the pause between turns is over.`;
	if (a.holder.heldMs === null)
		return `Another program has the turn: ${who}.`;
	return `${who} has had the turn for ${duration(a.holder.heldMs)}, after waiting ${duration(a.holder.waitedMs)}.`;
}

function whyText(a) {
	const parts = [];
	if (a.state === 'stuck')
		parts.push(`Stuck: ${a.stuckBecause}.`);
	if (a.paused)
		parts.push(`Paused ${duration(Date.now() - Date.parse(a.pausedAt))} ago: nobody gets a turn until it is resumed.`);
	if (a.held)
		parts.push(`Limited by the upstream (${a.held.reason}): nobody is sent for ${duration(Math.max(0, until(a.held.until)))}.`);
	for (const f of a.heldFamilies)
		parts.push(`Requests for ${f.family} are held for ${duration(Math.max(0, until(f.until)))}.`);
	parts.push(holderSentence(a));
	if (a.waiting)
		parts.push(`${count(a.waiting)} in line, the first for ${duration(a.oldestWaitMs)}.`);
	return parts.join(' ');
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
			const [bar, text] = used.children;
			setText(name, w.window);
			bar.hidden = w.used === null;
			bar.value = Math.min(w.used ?? 0, 1);
			setAttribute(bar, 'aria-label', `used of ${w.window}`);
			setText(text, w.used === null ? '–' : `${Math.round(w.used * 100)} %`);
			setText(status, w.status?.replace('_', ', ') ?? '–');
			setValue(resets, until(w.resets), w.resets === null ? '–' : duration(Math.max(0, until(w.resets))));
		});
}

function showFigures(a) {
	const { waitMs, holdMs, turns, left } = a.last5Minutes;
	figures(byId('figures'), [
		{ name: 'Turns', value: turns, text: count(turns), title: 'The latest 512 who left the line, whole fleet' },
		{ name: 'Left without', value: left, text: count(left), title: 'Timed out, hung up or removed' },
		{ name: 'Wait p50', value: waitMs.p50, text: duration(waitMs.p50) },
		{ name: 'Wait p99', value: waitMs.p99, text: duration(waitMs.p99) },
		{ name: 'Hold p50', value: holdMs.p50, text: duration(holdMs.p50) },
		{ name: 'Hold p99', value: holdMs.p99, text: duration(holdMs.p99) },
	]);
}

/* Where all are of one share that nobody gave a name, there is nothing to tell. */
function showShares(a) {
	const shares = a.last5Minutes.shares;
	byId('shares').hidden = shares.length < 2 && (shares[0]?.share ?? NO_SHARE) === NO_SHARE;
	keep(byId('shares').tBodies[0], shares, (s) => s.share ?? '',
		() => h('tr', {}, h('th', { scope: 'row' }), ...[1, 2, 3].map(() => h('td', { class: 'num' }))),
		(row, s) => {
			const [name, waiting, turns, held] = row.cells;
			setText(name, s.share ?? 'all others');
			setValue(waiting, s.waiting, count(s.waiting));
			setValue(turns, s.turns, count(s.turns));
			setValue(held, s.heldMs, duration(s.heldMs));
		});
}

/* One who has a turn, or waits for one. */
const makePerson = (name, act) => (p) => {
	const button = h('button', { type: 'button', class: 'quiet' }, name);
	button.addEventListener('click', () => act(p));
	return h('tr', { title: p.ticket }, h('td', { class: 'num' }), h('th', { scope: 'row' }), h('td', { class: 'wide' }), h('td'),
		h('td', { class: 'wide' }), h('td', { class: 'num' }), h('td', { class: 'do' }, button));
};

function fillPerson(row, number, p, ms, text, label) {
	const [place, client, instance, share, mark, time, action] = row.cells;
	setText(place, String(number));
	setText(client, p.client ?? '–');
	setText(instance, p.instance ?? '–');
	setText(share, p.share ?? '–');
	setText(mark, p.mark ?? '–');
	setValue(time, ms, text);
	setAttribute(action.firstElementChild, 'aria-label', label);
}

function showHolders(a, end) {
	byId('holders').hidden = a.holders.length < 2 && !(a.turns > 1);
	keep(byId('holders').tBodies[0], a.holders, (p) => p.ticket, makePerson('End', end), (row, p) =>
		fillPerson(row, a.holders.indexOf(p) + 1, p, p.heldMs, heldText(p), `End the turn of ${holderText(p)}`));
}

function showWaiters(a, remove) {
	const shown = a.waiters.slice(0, WAITERS_SHOWN);
	const body = byId('waiters').tBodies[0];
	const focused = body.contains(document.activeElement);
	keep(body, shown, (p) => p.ticket, makePerson('Remove', remove), (row, p) =>
		fillPerson(row, p.position, p, p.waitedMs, duration(p.waitedMs), `Remove number ${p.position} from the line`));
	if (focused && !shown.length)
		byId('account-title').focus({ preventScroll: true }); /* the button is gone, and there is no other one */
	byId('waiters').hidden = !shown.length;
	byId('waiters-empty').hidden = shown.length > 0;
	byId('waiters-more').hidden = a.waiting <= shown.length;
	setText(byId('waiters-more'), `and ${count(a.waiting - shown.length)} more`);
}

let orders = {};

const NONE_CHOSEN = byId('account-none').textContent;

/* `a`: of the overview; null: none is chosen, it isn't there yet, or, as `error` says, can't be had. */
export function showAccount(a, chosen, error) {
	byId('account-body').hidden = !a;
	byId('account-none').hidden = chosen !== null && !error;
	setText(byId('account-none'), error ?? NONE_CHOSEN);
	byId('account-close').hidden = chosen === null;
	setText(byId('account-title'), chosen ?? 'No account chosen');
	account = a;
	if (!a)
		return;
	setText(byId('account-why'), whyText(a));
	setAttribute(byId('account-why'), 'data-state', a.state);
	if (a.paused)
		swap(byId('pause'), byId('resume'));
	else
		swap(byId('resume'), byId('pause'));
	byId('force').disabled = !a.isLocked;
	setText(byId('force'), a.holders.length > 1 ? 'End turns' : 'End turn');
	showQuota(a);
	showFigures(a);
	showShares(a);
	showHolders(a, orders.end);
	showWaiters(a, orders.remove);
	showTimeline(a);
}

/*
 * `act(question, done, method, path)` asks the person if there is a question, sends the order and
 * tells how it went.
 */
export function startAccount(act, close, edit) {
	const path = () => accountPath(account.accountId);

	orders.remove = (w) => act({
		title: 'Remove from the line?',
		text: `The request of ${w.client ?? 'this client'} is answered 503 queue_removed, and has to be sent again.`,
		target: w.ticket, yes: 'Remove',
	}, 'Removed.', 'DELETE', `${path()}/waiters/${encodeURIComponent(w.ticket)}`);
	byId('holders').append(byId('waiters').tHead.cloneNode(true));
	const end = (title, target, yes, done, which) => act({
		title, text: 'The next in line is served at once, though the response goes on: both may run at the same time.', target, yes,
	}, done, 'DELETE', `${path()}/lock${which}`);
	orders.end = (p) => end('End this turn?', p.ticket, 'End the turn', 'The turn was ended.', `/${encodeURIComponent(p.ticket)}`);
	byId('pause').addEventListener('click', () => act(null, 'Paused.', 'POST', `${path()}/pause?unseen=1`));
	byId('resume').addEventListener('click', () => act(null, 'Resumed.', 'POST', `${path()}/resume`));
	byId('force').addEventListener('click', () => {
		const tickets = account.holders.map((p) => p.ticket).join(' ');
		if (account.holders.length > 1)
			end('End all turns?', tickets, 'End the turns', 'The turns were ended.', '');
		else
			end('End this turn?', tickets, 'End the turn', 'The turn was ended.', '');
	});
	byId('account-settings').addEventListener('click', () => edit(account.accountId));
	byId('account-close').addEventListener('click', close);
}
