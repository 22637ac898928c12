/*
 * fleet.js - what isn't about one account: where the page is from, totals, instances, rejections, observing.
 */
import { byId, clock, count, duration, figures, h, keep, setAttribute, setState, setText, setValue, stateNode }
	from './dom.js';

function showFacts(overview) {
	const { self, settings } = overview;
	const backend = self.backend;
	const facts = [
		{ name: 'instance', text: self.instance, title: `turnstile ${self.version}, ${self.listening}, in front of ${self.upstream}` },
		...(self.upstreamDownMs === null ? [] : [{ name: 'upstream', bad: true,
			text: `Upstream is down for ${duration(self.upstreamDownMs)}` }]),
		{ name: 'backend', bad: !backend.up,
			text: backend.name === 'memory' ? 'Memory: this process only'
				: !backend.up ? 'Redis is down'
				: backend.roundTripMs === null ? 'Redis is up' : `Redis is up, ${backend.roundTripMs.toFixed(2)} ms` },
		...(self.firstByte.count === 0 ? [] : [{ name: 'first byte',
			text: `First byte after ${duration(self.firstByte.p50Ms)}, the relay’s part ${duration(self.firstByte.upstreamP50Ms)}`,
			title: `Half of the ${count(self.firstByte.count)} user messages that this instance had answered in the last 5 minutes; 95 %: `
				+ `${duration(self.firstByte.p95Ms)}, the relay’s part ${duration(self.firstByte.upstreamP95Ms)}` }]),
		{ name: 'mode', bad: self.mode !== 'enforce',
			text: self.mode === 'enforce' ? `Queue on, ${duration(settings.delayMs)} between turns`
				: self.mode === 'observe' ? 'Observing only: nothing waits' : 'Queue off: everything passes' },
	];
	keep(byId('facts'), facts, (f) => f.name, () => h('li'), (li, f) => {
		setText(li, f.text);
		setAttribute(li, 'title', f.title);
		setAttribute(li, 'class', f.bad ? 'bad' : null);
	});
}

function showTiles(overview) {
	const t = overview.fleet.totals;
	const unknown = overview.error !== null;
	const tile = (name, value, text, kind) => ({ name, value: unknown ? null : value, text: unknown ? '–' : text, kind });
	figures(byId('tiles'), [
		tile('Waiting', t.waiting, count(t.waiting)),
		tile('Longest wait', t.oldestWaitMs, t.waiting ? duration(t.oldestWaitMs) : '–'),
		tile('Turns held', t.held, count(t.held)),
		tile('Accounts', t.accounts, count(t.accounts)),
		tile('Paused', t.paused, count(t.paused), !unknown && t.paused ? 'paused' : null),
		tile('Stuck', t.stuck, count(t.stuck), !unknown && t.stuck ? 'stuck' : null),
	]);
	setText(byId('accounts-scope'), overview.self.backend.name === 'memory' ? 'this process'
		: t.known > t.accounts && t.known > 2000 ? `whole fleet, the ${count(t.accounts)} last used of ${count(t.known)}` : 'whole fleet');
}

function makeInstance() {
	return h('tr', {}, h('th', { scope: 'row' }), h('td', {}, stateNode()), h('td', { class: 'wide' }), h('td', { class: 'num' }),
		h('td', { class: 'num' }), h('td', { class: 'num wide' }), h('td', { class: 'num' }), h('td', { class: 'num wide' }));
}

function showInstances(overview) {
	const now = Date.parse(overview.at);
	keep(byId('instances').tBodies[0], overview.fleet.instances, (i) => i.id, makeInstance, (row, i) => {
		const [name, state, mode, waiting, holding, lost, rejected, up] = row.cells;
		const gone = i.state === 'silent' || i.state === 'stopped';
		setText(name, i.self ? `${i.instance} (this one)` : i.instance);
		setAttribute(name, 'title', `turnstile ${i.version}, ${i.listening}, process ${i.pid}`);
		setState(state.firstElementChild, i.state);
		setAttribute(state, 'title', gone ? `nothing heard for ${duration(i.ageMs)}` : null);
		setAttribute(row, 'class', gone ? 'gone' : null);
		setText(mode, i.mode);
		setValue(waiting, i.waiting, count(i.waiting));
		setValue(holding, i.holding, count(i.holding));
		setValue(lost, i.lostTurns, count(i.lostTurns));
		setValue(rejected, i.rejected, count(i.rejected));
		setText(up, gone ? '–' : duration(now - Date.parse(i.startedAt)));
	});
	setText(byId('instances-scope'), overview.self.backend.name === 'memory'
		? 'this process; others can’t be seen without Redis' : 'counts are of each process, since its start');
}

function makeRejection() {
	return h('tr', {}, h('td'), h('td', {}, h('code')), h('td', { class: 'long' }), h('td', { class: 'wide' }),
		h('td', { class: 'num' }), h('td', { class: 'wide' }));
}

function showRejections(overview) {
	const list = overview.fleet.rejections;
	keep(byId('rejections').tBodies[0], list, (r) => r.requestId, makeRejection, (row, r) => {
		const [at, why, account, client, waited, instance] = row.cells;
		setText(at, clock(r.at));
		setAttribute(at, 'title', r.at);
		setText(why.firstElementChild, r.outcome);
		setAttribute(why, 'title', `${r.status}: ${r.message} (${r.requestId})`);
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
		{ name: 'Observed', value: o.joined, text: count(o.joined) },
		{ name: 'Would have waited', value: o.waited, text: count(o.waited) },
		{ name: 'Mean wait of these', value: o.waitMs, text: o.waited ? duration(o.waitMs / o.waited) : '–' },
		{ name: 'Would have timed out', value: o.queueTimeout, text: count(o.queueTimeout) },
		{ name: 'Line full', value: o.queueFull, text: count(o.queueFull) },
	]);
}

export function showFleet(overview) {
	showFacts(overview);
	showTiles(overview);
	showInstances(overview);
	showRejections(overview);
	showObserved(overview);
}
