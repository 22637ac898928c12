/*
 * language.js - which of the two languages, and texts, numbers and times in it. It is chosen once, as the page is
 * loaded: by the person (kept by the browser), else by the browser's list of languages.
 *
 * Imported before all that shows something, it fills in what index.html leaves to the table:
 *      data-text="key"  the element's text        data-label="key"  its aria-label        data-hint="key"  its placeholder
 */
import { SAID, TEXTS } from './texts.js';

const LANGUAGES = ['en', 'zh-CN']; /* in the order of the table's columns */
const KEY = 'turnstile.language';

function preferred() {
	for (const wanted of [localStorage.getItem(KEY), ...navigator.languages]) {
		const found = LANGUAGES.find((language) => wanted?.slice(0, 2) === language.slice(0, 2));
		if (found)
			return found;
	}
	return LANGUAGES[0];
}

const language = preferred();
const column = LANGUAGES.indexOf(language);

/* --- numbers and times ------------------------------------------------------------------------ */

const numbers = new Intl.NumberFormat(language);
const percents = new Intl.NumberFormat(language, { style: 'percent' });
const plurals = new Intl.PluralRules(language);
const clocks = new Intl.DateTimeFormat(language, { hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' });
const minutes = new Intl.DateTimeFormat(language, { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
const formats = new Map(); /* of units; to make one takes longer than to use it */

export const count = (n) => numbers.format(n);
export const percent = (part) => percents.format(part);
export const clock = (date) => clocks.format(new Date(date));
export const clockOfMinute = (date) => minutes.format(new Date(date));

/* "850ms", "3.2s", "3.2秒": `unit` as of ECMA-402, with so many digits behind the point. */
export function quantity(n, unit, digits = 0) {
	const key = `${unit} ${digits}`;
	if (!formats.has(key))
		formats.set(key, new Intl.NumberFormat(language, { style: 'unit', unit, unitDisplay: 'narrow',
			minimumFractionDigits: digits, maximumFractionDigits: digits }));
	return formats.get(key).format(n);
}

/* "512B", "12.5kB", "2.1MB" */
export function bytes(n) {
	if (n < 1000)
		return quantity(n, 'byte');
	return n < 1e6 ? quantity(n / 1e3, 'kilobyte', 1) : quantity(n / 1e6, 'megabyte', 1);
}

/* Chinese has no space between words, nor behind a sentence. */
const join = (parts) => parts.join(column ? '' : ' ');
export const sentences = join;

const twoUnits = (n, of, large, small) => n % of
	? join([quantity(Math.floor(n / of), large), quantity(n % of, small)]) : quantity(n / of, large);

/* "850ms", "3.2s", "42s", "3m 20s", "2h 5m", "3d" */
export function duration(ms) {
	if (ms === null || ms === undefined)
		return '–';
	if (ms < 1000)
		return quantity(Math.round(ms), 'millisecond');
	if (ms < 9950)
		return quantity(ms / 1000, 'second', 1);
	const s = Math.round(ms / 1000), min = Math.floor(s / 60);
	if (s < 60)
		return quantity(s, 'second');
	if (s < 3600)
		return twoUnits(s, 60, 'minute', 'second');
	return min < 48 * 60 ? twoUnits(min, 60, 'hour', 'minute') : quantity(Math.floor(min / 1440), 'day');
}

/* --- texts ------------------------------------------------------------------------------------ */

/* The text of that key; numbers among `values` are written as such, all else as it is. */
export function text(key, values = {}) {
	return TEXTS[key][column].replace(/\{(\w+)(?:\|([^|}]*)\|([^}]*))?\}/g, (_, name, one, other) => {
		const value = values[name];
		if (one !== undefined)
			return plurals.select(value) === 'one' ? one : other;
		return typeof value === 'number' ? count(value) : value;
	});
}

/* Of a `value` from outside, such as a state: the text "family.value"; without one, `otherwise`. */
export function named(family, value, values = {}, otherwise = value) {
	const key = `${family}.${value}`;
	return Object.hasOwn(TEXTS, key) ? text(key, values) : otherwise;
}

/* What the API said in words. */
export const said = (words) => column && Object.hasOwn(SAID, words) ? SAID[words] : words;

/*
 * The value of a family whose text has `part` in it; null: none, or it is English, in which the API knows parts of its
 * names itself.
 */
export function valueNamed(family, part) {
	const key = column && Object.keys(TEXTS).find((k) => k.startsWith(`${family}.`) && TEXTS[k][column].includes(part));
	return key ? key.slice(family.length + 1) : null;
}

/* --- the page --------------------------------------------------------------------------------- */

function fill(node, words) {
	words.split('`').forEach((part, i) => {
		if (!(i % 2))
			return node.append(part);
		const code = document.createElement('code');
		code.textContent = part;
		return node.append(code);
	});
}

for (const node of document.querySelectorAll('[data-text]'))
	fill(node, text(node.dataset.text));
for (const node of document.querySelectorAll('[data-label]'))
	node.setAttribute('aria-label', text(node.dataset.label));
for (const node of document.querySelectorAll('[data-hint]'))
	node.setAttribute('placeholder', text(node.dataset.hint));
document.documentElement.lang = language;

/* Another language is another page, at the same address; the focus stays where it was. */
function startChoice(select) {
	LANGUAGES.forEach((value, i) => {
		const option = new Option(TEXTS['language.name'][i], value, false, value === language);
		option.lang = value;
		select.append(option);
	});
	select.addEventListener('change', () => {
		localStorage.setItem(KEY, select.value);
		history.replaceState({ focus: select.id }, '');
		location.reload();
	});
	if (history.state?.focus === select.id) {
		history.replaceState(null, '');
		select.focus({ preventScroll: true });
	}
}

startChoice(document.getElementById('language'));
