/*
 * account.js - the chosen account: what it waits for, who is in line, and the orders about it.
 */
import { accountPath } from './api.js';
import { showTimeline } from './charts.js';
import { byId, count, duration, figures, h, keep, setAttribute, setText, setValue, swap } from './dom.js';
import { holderText } from './table.js';

const WAITERS_SHOWN = 100;
let account = null; /* as it was shown last */

function holderSentence(a) {
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
	parts.push(holderSentence(a));
	if (a.waiting)
		parts.push(`${count(a.waiting)} in line, the first for ${duration(a.oldestWaitMs)}.`);
	return parts.join(' ');
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

function makeWaiter(remove) {
	return (w) => {
		const button = h('button', { type: 'button', class: 'quiet' }, 'Remove');
		button.addEventListener('click', () => remove(w));
		return h('tr', {}, h('td', { class: 'num' }), h('th', { scope: 'row' }), h('td'), h('td', { class: 'num' }), h('td', { class: 'do' }, button));
	};
}

function showWaiters(a, remove) {
	const shown = a.waiters.slice(0, WAITERS_SHOWN);
	const body = byId('waiters').tBodies[0];
	const focused = body.contains(document.activeElement);
	keep(body, shown, (w) => w.ticket, makeWaiter(remove), (row, w) => {
		const [position, client, instance, waited, action] = row.cells;
		setText(position, String(w.position));
		setText(client, w.client ?? '–');
		setAttribute(row, 'title', w.ticket);
		setText(instance, w.instance ?? '–');
		setValue(waited, w.waitedMs, duration(w.waitedMs));
		setAttribute(action.firstElementChild, 'aria-label', `Remove number ${w.position} from the line`);
	});
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
	showFigures(a);
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
	byId('pause').addEventListener('click', () => act(null, 'Paused.', 'POST', `${path()}/pause?unseen=1`));
	byId('resume').addEventListener('click', () => act(null, 'Resumed.', 'POST', `${path()}/resume`));
	byId('force').addEventListener('click', () => act({
		title: 'End this turn?',
		text: 'The next in line is served at once, though the response of this one goes on: two may run at the same time.',
		target: account.lockHolder ?? '', yes: 'End the turn',
	}, 'The turn was ended.', 'DELETE', `${path()}/lock`));
	byId('account-settings').addEventListener('click', () => edit(account.accountId));
	byId('account-close').addEventListener('click', close);
}
