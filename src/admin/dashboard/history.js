/*
 * history.js - hours and days of this instance: totals, how they went, and whose they were. Of all accounts, or of the
 * chosen one. Asked for while it is open, and then once a minute.
 *
 *      GET /api/history ─┬─> by step ──> sums and bars       step=auto
 *                        ├─> by hour ──> a table             step=hour
 *                        └─> of the whole time, by account or share ──> a table
 */
import { download, inWords, request } from './api.js';
import { byId, figures, h, keep, setAttribute, setText, setValue } from './dom.js';
import { count, duration, quantity, text } from './language.js';

const EVERY_MS = 60000;
const RANGES = [[6, quantity(6, 'hour')], [24, quantity(24, 'hour')], [192, quantity(8, 'day')]];
export const HOURS = RANGES.map(([hours]) => hours);

const times = new Intl.DateTimeFormat(document.documentElement.lang,
	{ month: 'short', day: 'numeric', hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
const inTime = (at) => times.format(new Date(at));

let account = null, hours = null; /* what is shown; null: of all; nothing */
let told = () => {}, timer = 0, asked = 0;

/* --- what a row has --------------------------------------------------------------------------- */

const other429 = (row) => row.answers.notALimit + row.answers.unknown;

/* `wide`: not on a phone. */
const COLUMNS = [
	{ name: text('turns'), of: (row) => row.turns, inWords: count },
	{ name: text('waited.more'), of: (row) => row.waited, inWords: count },
	{ name: text('wait p50'), of: (row) => row.waitP50Ms, inWords: duration, wide: true },
	{ name: text('wait p95'), of: (row) => row.waitP95Ms, inWords: duration },
	{ name: text('refused'), of: (row) => row.refused, inWords: count },
	{ name: text('left early'), of: (row) => row.left, inWords: count, wide: true },
	{ name: text('429.throttle'), of: (row) => row.answers.throttle, inWords: count },
	{ name: text('429.quota'), of: (row) => row.answers.quota, inWords: count },
	{ name: text('429.other'), of: other429, inWords: count, wide: true },
	{ name: text('529'), of: (row) => row.answers.overloaded, inWords: count, wide: true },
	{ name: text('failed'), of: (row) => row.answers.failed, inWords: count, wide: true },
	{ name: text('holds'), of: (row) => row.holds, inWords: count },
	{ name: text('held'), of: (row) => row.heldMs, inWords: duration, wide: true },
];

const isObserved = ({ observed }) => observed.turns + observed.refused > 0;

const enforced = ({ observed }) => text('if enforced', { waits: observed.waited, time: duration(observed.waitP95Ms),
	refusals: observed.refused });

/* --- tables ----------------------------------------------------------------------------------- */

function ofColumn(cell, column) {
	cell.classList.add('num');
	cell.classList.toggle('wide', column.wide ?? false);
	return cell;
}

function startTable(id, name) {
	const head = byId(id).tHead;
	head.append(h('tr', {}, h('th', { scope: 'col' }, name),
		...COLUMNS.map((column) => ofColumn(h('th', { scope: 'col' }, column.name), column)),
		h('th', { scope: 'col', class: 'enforced' }, text('enforced'))));
}

const makeRow = () => h('tr', {}, h('th', { scope: 'row' }), ...COLUMNS.map((column) => ofColumn(h('td'), column)),
	h('td', { class: 'enforced' }));

function showTable(id, rows, nameOf) {
	keep(byId(id).tBodies[0], rows, nameOf, makeRow, (tr, row) => {
		setText(tr.cells[0], nameOf(row));
		COLUMNS.forEach((column, i) => setValue(tr.cells[i + 1], column.of(row), column.inWords(column.of(row))));
		setText(tr.lastElementChild, isObserved(row) ? enforced(row) : '–');
	});
	byId(id).classList.toggle('observed', rows.some(isObserved));
}

/* --- bars ------------------------------------------------------------------------------------- */

const PLOTS = [
	{ title: text('history.turns'), inWords: count, parts: [[text('turns'), (row) => row.turns],
		[text('refused'), (row) => row.refused], [text('left early'), (row) => row.left]] },
	{ title: text('history.waits'), inWords: duration, parts: [[text('wait p95'), (row) => row.waitP95Ms ?? 0]] },
	{ title: text('history.limits'), inWords: count, parts: [[text('429.throttle'), (row) => row.answers.throttle],
		[text('429.quota'), (row) => row.answers.quota], [text('429.other'), other429]] },
];

function svg(tag, attributes, ...children) {
	const node = document.createElementNS('http://www.w3.org/2000/svg', tag);
	for (const [name, value] of Object.entries(attributes))
		node.setAttribute(name, value);
	node.append(...children);
	return node;
}

const sum = (numbers) => numbers.reduce((a, b) => a + b, 0);
const valuesOf = (plot, row) => plot.parts.map(([, of]) => of(row));

/* One on top of the other; a step is one unit wide, and the highest bar 100 high. */
function barOf(plot, row, at, most) {
	const values = valuesOf(plot, row);
	let top = 100;
	const parts = values.map((value, i) => {
		const height = 100 * value / most;
		top -= height;
		return value ? [svg('rect', { class: `bar-${i}`, x: at, y: top, width: 1, height })] : [];
	});
	const said = plot.parts.map(([name], i) => `${name} ${plot.inWords(values[i])}`).join(', ');
	return svg('g', {}, svg('title', {}, text('at time', { time: inTime(row.at), values: said })), ...parts.flat());
}

function draw(plot, answer) {
	const from = Date.parse(answer.from), steps = Math.ceil((Date.parse(answer.to) - from) / answer.stepMs);
	const most = Math.max(0, ...answer.rows.map((row) => sum(valuesOf(plot, row))));
	setAttribute(plot.box, 'viewBox', `0 0 ${steps} 100`);
	setAttribute(plot.box, 'aria-label', text('history.chart', { title: plot.title, most: plot.inWords(most) }));
	plot.box.replaceChildren(...answer.rows.filter((row) => sum(valuesOf(plot, row)))
		.map((row) => barOf(plot, row, (Date.parse(row.at) - from) / answer.stepMs, most)));
	setText(plot.most, text('at most', { most: plot.inWords(most) }));
	plot.axis.replaceChildren(...[answer.from, (from + Date.parse(answer.to)) / 2, answer.to].map((at) => h('span', {}, inTime(at))));
}

function startPlot(plot) {
	plot.box = svg('svg', { role: 'img', preserveAspectRatio: 'none' });
	plot.most = h('span', { class: 'legend' });
	plot.axis = h('p', { class: 'axis scope', 'aria-hidden': 'true' });
	const swatches = plot.parts.length < 2 ? [] : plot.parts.map(([name], i) =>
		h('span', { class: `key key-${i}`, 'aria-hidden': 'true' }, name));
	byId('history-bars').append(h('figure', {}, h('figcaption', {}, h('span', {}, plot.title), ...swatches, plot.most), plot.box, plot.axis));
}

/* --- asking ----------------------------------------------------------------------------------- */

function query(by, step, format) {
	const q = new URLSearchParams({ hours, by, step });
	if (account !== null)
		q.set('account', account);
	if (format)
		q.set('format', format);
	return `/api/history?${q}`;
}

const nameOf = (row) => account === null ? row.accountId : row.share ?? text('no share');

function show(steps, byHour, byName) {
	const { total } = steps;
	setText(byId('history-scope'), [account ?? text('all accounts'),
		text('history.scope', { instance: steps.instance, time: inTime(steps.since) })].join(' · '));
	setText(byId('history-observed'), isObserved(total) ? enforced(total) : '');
	byId('history-observed').hidden = !isObserved(total);
	figures(byId('history-figures'), COLUMNS.map((column) => ({ name: column.name, value: column.of(total), text: column.inWords(column.of(total)) })));
	PLOTS.forEach((plot) => draw(plot, steps));
	setText(byId('history-names').caption, account === null ? text('by account') : text('by share'));
	showTable('history-names', byName.rows, nameOf);
	showTable('history-hourly', byHour.rows.toReversed(), (row) => inTime(row.at));
}

function fail(error) {
	byId('history-error').hidden = !error;
	setText(byId('history-error'), error ? inWords(error) : '');
}

async function ask() {
	clearTimeout(timer);
	if (hours === null || document.hidden)
		return;
	const mine = ++asked;
	try {
		const answers = await Promise.all([query('total', 'auto'), query('total', 'hour'),
			query(account === null ? 'account' : 'share', 'range')].map((path) => request('GET', path)));
		if (mine !== asked)
			return; /* of something else by now */
		fail(null);
		show(...answers);
	} catch (error) {
		fail(error);
	}
	if (mine === asked)
		timer = setTimeout(ask, EVERY_MS);
}

/* The token goes with a request, never into an address; so it isn't a link. */
async function save() {
	try {
		const csv = await download(query(account === null ? 'account' : 'share', hours > 24 ? 'hour' : 'auto', 'csv'));
		const url = URL.createObjectURL(new Blob([csv], { type: 'text/csv' }));
		h('a', { href: url, download: `turnstile-history-${hours}h.csv` }).click();
		setTimeout(() => URL.revokeObjectURL(url), 10000);
		fail(null);
	} catch (error) {
		fail(error);
	}
}

/* --- what is to be seen ----------------------------------------------------------------------- */

/* Of which account, and how many hours; null: it is closed. */
export function showHistory(wantedAccount, wantedHours) {
	if (wantedAccount === account && wantedHours === hours)
		return;
	account = wantedAccount;
	hours = wantedHours;
	asked++;
	if (hours !== null)
		byId('history-hours').value = hours;
	byId('history').open = hours !== null;
	ask();
}

/* `changed` hears how many hours a person wants to see; null: none. */
export function startHistory(changed) {
	told = changed;
	for (const [value, name] of RANGES)
		byId('history-hours').append(new Option(name, value));
	startTable('history-names', text('name'));
	startTable('history-hourly', text('from'));
	PLOTS.forEach(startPlot);
	byId('history').addEventListener('toggle', () => {
		const isOpen = byId('history').open;
		if (isOpen !== (hours !== null))
			told(isOpen ? Number(byId('history-hours').value) : null);
	});
	byId('history-hours').addEventListener('change', () => told(Number(byId('history-hours').value)));
	byId('history-csv').addEventListener('click', save);
	document.addEventListener('visibilitychange', ask);
}
