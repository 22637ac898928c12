/*
 * fleet.js - what isn't about one account: where the page is from, totals, instances, rejections, observing.
 */
import { byId, figures, h, keep, setAttribute, setName, setState, setText, setValue, stateNode } from './dom.js';
import { clock, count, duration, named, quantity, said, text } from './language.js';

function showFacts(overview) {
	const { self, settings } = overview;
	const backend = self.backend;
	const facts = [
		{ id: 'instance', text: self.instance, title: text('instance', self) },
		...(self.upstreamDownMs === null ? [] : [{ id: 'upstream', bad: true,
			text: text('upstream down', { time: duration(self.upstreamDownMs) }) }]),
		{ id: 'backend', bad: !backend.up,
			text: backend.name === 'memory' ? text('memory')
				: !backend.up ? text('redis down')
				: backend.roundTripMs === null ? text('redis up')
				: text('redis up in', { time: quantity(backend.roundTripMs, 'millisecond', 2) }) },
		...(self.firstByte.count === 0 ? [] : [{ id: 'first-byte',
			text: text('first byte', { time: duration(self.firstByte.p50Ms), relay: duration(self.firstByte.upstreamP50Ms) }),
			title: text('first byte.more', { n: self.firstByte.count,
				time: duration(self.firstByte.p95Ms), relay: duration(self.firstByte.upstreamP95Ms) }) }]),
		{ id: 'mode', bad: self.mode !== 'enforce',
			text: named('mode', self.mode, { delay: duration(settings.delayMs) }, text('mode.off')) },
	];
	keep(byId('facts'), facts, (f) => f.id, () => h('li'), (li, f) => {
		setName(li, f.text, f.title);
		setAttribute(li, 'class', f.bad ? 'bad cut' : 'cut');
	});
}

function showTiles(overview) {
	const t = overview.fleet.totals;
	const unknown = overview.error !== null;
	const tile = (name, value, text, kind) => ({ name, value: unknown ? null : value, text: unknown ? '–' : text, kind });
	figures(byId('tiles'), [
		tile(text('waiting'), t.waiting, count(t.waiting)),
		tile(text('longest wait'), t.oldestWaitMs, t.waiting ? duration(t.oldestWaitMs) : '–'),
		tile(text('turns held'), t.held, count(t.held)),
		tile(text('accounts'), t.accounts, count(t.accounts)),
		tile(text('paused'), t.paused, count(t.paused), !unknown && t.paused ? 'paused' : null),
		tile(text('stuck'), t.stuck, count(t.stuck), !unknown && t.stuck ? 'stuck' : null),
	]);
	setText(byId('accounts-scope'), overview.self.backend.name === 'memory' ? text('this process')
		: t.known > t.accounts && t.known > 2000 ? text('last used', { n: t.accounts, all: t.known }) : text('whole fleet'));
}

function makeInstance() {
	return h('tr', {}, h('th', { scope: 'row', class: 'cut' }), h('td', {}, stateNode()), h('td', { class: 'wide' }), h('td', { class: 'num' }),
		h('td', { class: 'num' }), h('td', { class: 'num wide' }), h('td', { class: 'num' }), h('td', { class: 'num wide' }));
}

function showInstances(overview) {
	const now = Date.parse(overview.at);
	keep(byId('instances').tBodies[0], overview.fleet.instances, (i) => i.id, makeInstance, (row, i) => {
		const [name, state, mode, waiting, holding, lost, rejected, up] = row.cells;
		const gone = i.state === 'silent' || i.state === 'stopped';
		setName(name, i.self ? text('this one', i) : i.instance, text('process', { ...i, pid: String(i.pid) }));
		setState(state.firstElementChild, i.state);
		setAttribute(state, 'title', gone ? text('nothing heard', { time: duration(i.ageMs) }) : null);
		setAttribute(row, 'class', gone ? 'gone' : null);
		setText(mode, i.mode);
		setValue(waiting, i.waiting, count(i.waiting));
		setValue(holding, i.holding, count(i.holding));
		setValue(lost, i.lostTurns, count(i.lostTurns));
		setValue(rejected, i.rejected, count(i.rejected));
		setText(up, gone ? '–' : duration(now - Date.parse(i.startedAt)));
	});
	setText(byId('instances-scope'), overview.self.backend.name === 'memory' ? text('alone') : text('since start'));
}

function makeRejection() {
	return h('tr', {}, h('td'), h('td', {}, h('code')), h('td', { class: 'cut' }), h('td', { class: 'wide cut' }),
		h('td', { class: 'num' }), h('td', { class: 'wide cut' }));
}

function showRejections(overview) {
	const list = overview.fleet.rejections;
	keep(byId('rejections').tBodies[0], list, (r) => r.requestId, makeRejection, (row, r) => {
		const [at, why, account, client, waited, instance] = row.cells;
		setText(at, clock(r.at));
		setAttribute(at, 'title', r.at);
		setText(why.firstElementChild, r.outcome);
		setAttribute(why, 'title', text('rejection', { status: String(r.status), message: said(r.message), id: r.requestId }));
		setText(account, r.account || '–');
		setText(client, r.client || '–');
		setValue(waited, r.waitedMs, duration(r.waitedMs));
		setText(instance, r.instance);
	});
	byId('rejections').hidden = !list.length;
	byId('rejections-empty').hidden = list.length > 0;
}

function showObserved(overview) {
	const o = overview.fleet.observed;
	byId('observed').hidden = !o.joined && overview.self.mode !== 'observe';
	figures(byId('observed-figures'), [
		{ name: text('observed.joined'), value: o.joined, text: count(o.joined) },
		{ name: text('observed.waited'), value: o.waited, text: count(o.waited) },
		{ name: text('observed.mean'), value: o.waitMs, text: o.waited ? duration(o.waitMs / o.waited) : '–' },
		{ name: text('observed.timeout'), value: o.queueTimeout, text: count(o.queueTimeout) },
		{ name: text('observed.full'), value: o.queueFull, text: count(o.queueFull) },
	]);
}

export function showFleet(overview) {
	showFacts(overview);
	showTiles(overview);
	showInstances(overview);
	showRejections(overview);
	showObserved(overview);
}
