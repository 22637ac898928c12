/*
 * changes.js - what operators changed. Asked for when the overview says that there is something new.
 */
import { byId, h, keep, setAttribute, setName, setText } from './dom.js';
import { clock, said, text } from './language.js';

const SHOWN = 20;

let known = null; /* of which instance, and how many changes it had */

/* Who may only look isn't shown what would be refused. */
export function showAccess(overview) {
	document.body.classList.toggle('read-only', !overview.mayWrite);
}

function make() {
	return h('tr', {}, h('td'), h('td', { class: 'cut' }), h('td'), h('td', { class: 'cut' }), h('td', { class: 'wide cut' }), h('td', { class: 'wide cut' }));
}

const where = (c) => c.setting ?? [c.accountId, c.ticket].filter(Boolean).join(' ');

function show(list) {
	const rows = list.slice(0, SHOWN).map((c, i) => ({ ...c, key: `${c.at} ${list.length - i}` }));
	keep(byId('changes').tBodies[0], rows, (c) => c.key, make, (row, c) => {
		const [at, who, what, place, before, after] = row.cells;
		setText(at, clock(c.at));
		setAttribute(at, 'title', c.at);
		setName(who, c.who ?? c.client ?? '–', c.client);
		setText(what, said(c.what.replace('operator: ', '')));
		setText(place, where(c) || '–');
		setText(before, c.before ?? '–');
		setText(after, c.after ?? (c.setting ? text('as configured') : '–'));
	});
	byId('changes').hidden = !rows.length;
	byId('changes-empty').hidden = rows.length > 0;
}

/* `request` as in api.js. What it fails with, the next overview tries again. */
export async function showChanges(overview, request) {
	const now = `${overview.self.startedAt} ${overview.changes}`;
	if (now === known)
		return;
	const document = await request('GET', '/api/changes');
	known = now;
	show(document.changes);
}
