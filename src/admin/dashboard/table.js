/*
 * table.js - the accounts: one page of them, in the order that the server gives.
 *
 * While the pointer or the focus is in the table, rows keep their places, so that nothing moves away under
 * a click; their values go on changing.
 */
import { byId, h, keep, setAttribute, setState, setText, setValue, stateNode } from './dom.js';
import { count, duration, said, text } from './language.js';

export const PAGE = 20;

export const view = { sort: 'wait', order: 'desc', q: '', offset: 0 };

const table = byId('accounts');
const body = table.tBodies[0];
let changed = () => {};
let choose = () => {};
let steady = true; /* false: the order was asked for just now */

function makeRow(queue) {
	const name = h('button', { type: 'button', class: 'name' });
	const tag = queue.shadowOf ? [' ', h('small', { class: 'tag' }, text('observed of'))] : [];
	const row = h('tr', {}, h('th', { scope: 'row', class: 'cut' }, name), h('td', {}, stateNode(), ...tag), h('td', { class: 'wide cut' }),
		h('td', { class: 'num wide' }), h('td', { class: 'num' }), h('td', { class: 'num' }));
	row.addEventListener('click', () => choose(queue.accountId));
	return row;
}

/* "web1, 10.0.0.7", or what other programs call it. */
export function holderText(holder) {
	if (!holder)
		return '–';
	const who = holder.instance ?? holder.ticket;
	return holder.client ? `${who}, ${holder.client}` : who;
}

/* The first one, and how many more. */
export function holdersText(queue) {
	const more = queue.holders.length - 1;
	const holder = holderText(queue.holder);
	return more > 0 ? text('and more', { holder, n: more }) : holder;
}

/* A holder whose response stands still is told, also where nobody waits for it. */
export const stateOf = (queue) => queue.stalled && queue.state === 'busy' ? 'stalled' : queue.state;

export const heldText = (holder) =>
	!holder ? '–' : holder.state === 'pacing' ? text('not yet') : duration(holder.heldMs);

function fillRow(row, queue, chosen) {
	const [name, state, holder, held, waiting, wait] = row.cells;
	setText(name.firstElementChild, queue.shadowOf ?? queue.accountId);
	setAttribute(name.firstElementChild, 'aria-current', queue.accountId === chosen ? 'true' : null);
	setAttribute(row, 'class', queue.accountId === chosen ? 'chosen' : null);
	setState(state.firstElementChild, stateOf(queue));
	setAttribute(state, 'title', queue.stuckBecause ? said(queue.stuckBecause) : null);
	setText(holder, holdersText(queue));
	setValue(held, queue.holder?.heldMs ?? null, heldText(queue.holder));
	setValue(waiting, queue.waiting, count(queue.waiting));
	setValue(wait, queue.oldestWaitMs, queue.waiting ? duration(queue.oldestWaitMs) : '–');
}

/* Those that were there stay where they were. */
function inPlace(queues) {
	const at = new Map([...body.children].map((row, i) => [row.dataset.key, i]));
	return [...queues].sort((a, b) => (at.get(a.accountId) ?? Infinity) - (at.get(b.accountId) ?? Infinity) || 0);
}

function showSort() {
	for (const head of table.tHead.rows[0].cells) {
		const sorts = head.dataset.sort === view.sort;
		if (head.dataset.sort)
			setAttribute(head, 'aria-sort', !sorts ? 'none' : view.order === 'asc' ? 'ascending' : 'descending');
	}
}

function showPager(overview) {
	const last = Math.min(view.offset + PAGE, overview.matched);
	byId('pager').hidden = overview.matched <= PAGE;
	byId('previous').disabled = view.offset === 0;
	byId('next').disabled = last >= overview.matched;
	setText(byId('range'), text('range', { from: view.offset + 1, to: last, all: overview.matched }));
}

function showEmpty(overview) {
	byId('accounts-empty').hidden = overview.matched > 0;
	setText(byId('accounts-empty'), text(overview.error ? 'not known' : view.q ? 'none like that' : 'none in use'));
}

export function showTable(overview, chosen) {
	if (view.offset >= overview.matched && view.offset > 0) {
		view.offset = Math.max(0, Math.floor((overview.matched - 1) / PAGE) * PAGE);
		changed(true);
		return;
	}
	const busy = steady && (body.matches(':hover') || body.contains(document.activeElement));
	keep(body, busy ? inPlace(overview.queues) : overview.queues, (q) => q.accountId, makeRow,
		(row, q) => fillRow(row, q, chosen));
	steady = true;
	showSort();
	showPager(overview);
	showEmpty(overview);
}

/* Another view, such as that of the address. */
export function showView(other) {
	Object.assign(view, other);
	if (document.activeElement !== byId('search'))
		byId('search').value = view.q;
	steady = false;
	showSort();
}

function look(change) {
	showView({ offset: 0, ...change });
	changed(true);
}

/* `onView(isView)`: ask the server again, by `view`, which is another one if `isView`; `onChoose(account)`. */
export function startTable(onView, onChoose) {
	let typing = 0;
	changed = onView;
	choose = onChoose;
	for (const head of table.tHead.rows[0].cells) {
		const sort = head.dataset.sort;
		head.querySelector('button')?.addEventListener('click', () => {
			const first = sort === 'account' ? 'asc' : 'desc';
			const other = view.order === 'asc' ? 'desc' : 'asc';
			look({ sort, order: view.sort === sort ? other : first });
		});
	}
	byId('search').addEventListener('input', (event) => {
		clearTimeout(typing);
		typing = setTimeout(() => look({ q: event.target.value.trim().slice(0, 100) }), 150);
	});
	byId('previous').addEventListener('click', () => look({ offset: Math.max(0, view.offset - PAGE) }));
	byId('next').addEventListener('click', () => look({ offset: view.offset + PAGE }));
	showSort();
}
