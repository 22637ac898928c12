/*
 * charts.js - the last minutes of an account: three charts over one axis of time. Drawn by dygraphs.
 *
 * The server tells what is known; while the page stays open it also keeps what the server has told
 * before, as of a very busy account the server remembers the latest 512 turns only.
 */
import Dygraph from './dygraph.js';
import { byId, h, keep, markCut, setText } from './dom.js';
import { clock, clockOfMinute, count, duration, quantity, text } from './language.js';

/*
 * The others aren't in the bundle (dygraphs/package.json). Legends are the page's own; that of dygraphs
 * has inline styles, which the page's policy forbids.
 */
Dygraph.PLUGINS = [Dygraph.Plugins.Grid, Dygraph.Plugins.Axes];
const PLOTS = [
	{ id: 'waiting', title: text('most in line'), series: [['waiting', text('waiting.one')]], step: true, inWords: count },
	{ id: 'turns', title: text('left the line'), series: [['turns', text('after a turn')], ['left', text('without')]], step: true, inWords: count },
	{ id: 'wait', title: text('wait before'), series: [['waitP50Ms', text('p50')], ['waitP95Ms', text('p95')]], points: true, inWords: duration },
];
const COLOURS = { waiting: '--line-a', turns: '--line-a', left: '--line-b', waitP50Ms: '--line-a', waitP95Ms: '--line-b' };

let drawn = null; /* the account */
let steps = new Map(); /* when a step began -> its values */
let graphs = [];
let newest = '';

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function look() {
	return { axisLineColor: colour('--edge'), gridLineColor: colour('--edge') };
}

const STEPS_MS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10e3, 20e3, 30e3, 60e3, 120e3, 300e3, 600e3];

/* A handful of round values from 0 on. */
function ticker(plot) {
	return (min, max) => {
		const least = max / 3.5;
		let step = plot.points ? STEPS_MS.find((s) => s >= least) : 1;
		for (let i = 0; !plot.points && step < least; i++)
			step *= i % 3 === 1 ? 2.5 : 2;
		const ticks = [];
		for (let v = 0; step && v <= max; v += step)
			ticks.push({ v, label: !plot.points ? count(v) : v >= 1000 && v < 60000 ? quantity(v / 1000, 'second') : duration(v) });
		return ticks;
	};
}

/* In seconds where there are ticks between minutes. */
function axisTime(date, granularity, options, graph) {
	const [from, to] = graph.xAxisRange();
	const perTick = (to - from) / Math.max(1, graph.getArea().w / 70);
	return perTick < 60e3 ? clock(date) : clockOfMinute(date);
}

function showAt(plot, time, values) {
	const shown = plot.series.map(([, label], i) => `${label} ${values[i] === null ? '–' : plot.inWords(values[i])}`).join(', ');
	setText(plot.legend, time ? text('at time', { time: clock(time), values: shown }) : shown);
}

function latestOf(plot, rows) {
	const row = plot.points ? rows.findLast((r) => r[1] !== null) : rows.at(-1);
	showAt(plot, null, row ? row.slice(1) : plot.series.map(() => null));
}

function rowsOf(plot) {
	const times = [...steps.keys()].sort((a, b) => a - b);
	return times.map((t) => [new Date(t), ...plot.series.map(([name]) => steps.get(t)[name])]);
}

function make(plot) {
	const box = h('div', { class: 'plot', role: 'img' });
	plot.legend = h('span', { class: 'legend' });
	plot.box = box;
	const swatches = plot.series.length < 2 ? [] : plot.series.map(([, label], i) =>
		h('span', { class: `swatch ${i ? 'b' : 'a'}`, 'aria-hidden': 'true' }, label));
	byId('charts').append(h('figure', {}, h('figcaption', {}, h('span', {}, plot.title), ...swatches, plot.legend), box));
	const options = {};
	plot.series.forEach(([name, label]) => {
		options[label] = { strokePattern: COLOURS[name] === '--line-b' ? [4, 3] : null };
	});
	plot.graph = new Dygraph(box, rowsOf(plot), {
		labels: ['time', ...plot.series.map(([, label]) => label)],
		colors: plot.series.map(([name]) => colour(COLOURS[name])), series: options,
		legend: 'never', interactionModel: {}, includeZero: true, stepPlot: plot.step ?? false, fillGraph: plot.step ?? false,
		fillAlpha: 0.18, strokeWidth: 1.6, drawPoints: plot.points ?? false, pointSize: 2, highlightCircleSize: 3, connectSeparatedPoints: true,
		yRangePad: 4, rightGap: 4, axisLabelFontSize: 11, ...look(),
		axes: {
			x: { drawGrid: false, axisLabelFormatter: axisTime, pixelsPerLabel: 70 },
			y: { axisLabelWidth: 44, ticker: ticker(plot) },
		},
		highlightCallback: (event, time, points, row) => {
			const values = rowsOf(plot)[row]?.slice(1);
			if (values)
				showAt(plot, time, values);
		},
		unhighlightCallback: () => latestOf(plot, rowsOf(plot)),
	});
}

function draw(plot, from, to) {
	const rows = rowsOf(plot);
	const highest = Math.max(0, ...rows.flatMap((r) => r.slice(1)));
	plot.graph.updateOptions({
		file: rows, dateWindow: [from, to],
		valueRange: [0, Math.max(plot.points ? 100 : 1, highest) * 1.15],
	});
	if (!plot.box.matches(':hover'))
		latestOf(plot, rows);
	plot.box.setAttribute('aria-label', text('chart', { title: plot.title, most: plot.inWords(highest) }));
}

/* Before what the server knows, what it told earlier stays. */
function learn(timeline) {
	const from = Date.parse(timeline.from), known = Date.parse(timeline.knownFrom);
	for (let i = 0; i < timeline.waiting.length; i++) {
		const at = from + i * timeline.stepMs;
		if (at < known && steps.has(at))
			continue;
		const unknown = at + timeline.stepMs <= known;
		steps.set(at, Object.fromEntries(['waiting', 'turns', 'left', 'waitP50Ms', 'waitP95Ms']
			.map((name) => [name, unknown ? null : timeline[name][i]])));
	}
	for (const at of steps.keys()) {
		if (at < from)
			steps.delete(at);
	}
}

function showAsTable() {
	const details = byId('timeline-table');
	if (!details.open)
		return;
	const times = [...steps.keys()].sort((a, b) => b - a);
	keep(details.querySelector('tbody'), times, String,
		() => h('tr', {}, h('th', { scope: 'row' }), ...Array.from({ length: 5 }, () => h('td', { class: 'num' }))),
		(row, at) => {
			const s = steps.get(at);
			const texts = [clock(at), s.waiting ?? '–', s.turns ?? '–', s.left ?? '–', duration(s.waitP50Ms), duration(s.waitP95Ms)];
			texts.forEach((value, i) => setText(row.cells[i], String(value)));
		});
	markCut();
}

export function showTimeline(account) {
	const timeline = account.timeline;
	if (account.accountId !== drawn) {
		drawn = account.accountId;
		steps = new Map();
		newest = '';
	}
	const told = JSON.stringify(timeline);
	if (told === newest)
		return;
	newest = told;
	learn(timeline);
	if (!graphs.length) {
		PLOTS.forEach(make);
		graphs = PLOTS;
	}
	const from = Date.parse(timeline.from);
	graphs.forEach((plot) => draw(plot, from, from + timeline.waiting.length * timeline.stepMs));
	showAsTable();
}

/* Nor of another width: dygraphs itself hears of the window's only. */
new ResizeObserver(() => graphs.forEach((plot) => plot.graph.resize())).observe(byId('charts'));

/* Canvases don't hear of the system's change of colours. */
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
	graphs.forEach((plot) => plot.graph.updateOptions({
		colors: plot.series.map(([name]) => colour(COLOURS[name])), ...look() }));
});
byId('timeline-table').addEventListener('toggle', showAsTable);
