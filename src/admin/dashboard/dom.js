/*
 * dom.js - making and changing elements.
 *
 * Everything that comes from outside is put in as text, never as markup. What is already there isn't
 * touched: the page changes once a second, and neither focus nor selection may suffer from it.
 */
import { named } from './language.js';

export const byId = (id) => document.getElementById(id);

/* h('td', { class: 'num' }, 'text', child, ...) */
export function h(tag, attributes = {}, ...children) {
	const node = document.createElement(tag);
	for (const [name, value] of Object.entries(attributes)) {
		if (value !== undefined && value !== null)
			node.setAttribute(name, value);
	}
	node.append(...children);
	return node;
}

export function setText(node, text) {
	if (node.textContent !== text)
		node.textContent = text;
}

export function setAttribute(node, name, value) {
	if (value === null || value === undefined)
		node.removeAttribute(name);
	else if (node.getAttribute(name) !== String(value))
		node.setAttribute(name, value);
}

/* A name in a .cut: `more` is what its title says beside it. */
export function setName(node, name, more) {
	setText(node, name);
	setAttribute(node, 'data-more', more);
}

/*
 * After all is shown: names that are cut for want of room can be read whole, under the pointer and with the focus on
 * them, and what has to be scrolled can be with the keyboard.
 */
export function markCut() {
	const nodes = [...document.querySelectorAll('.cut, .scroll')].map((node) => node.querySelector(':scope > .name') ?? node);
	const cut = nodes.map((node) => node.scrollWidth > node.clientWidth || node.scrollHeight > node.clientHeight + 1);
	nodes.forEach((node, i) => {
		if (node === document.activeElement)
			return; /* whole just now, or being scrolled */
		if (node.tagName !== 'BUTTON')
			setAttribute(node, 'tabindex', cut[i] ? '0' : null);
		if (!node.classList.contains('scroll'))
			setAttribute(node, 'title', cut[i] ? [node.textContent, node.dataset.more].filter(Boolean).join('\n') : node.dataset.more);
	});
}

/* A number with its text; the exact one stays readable in data-value. */
export function setValue(node, value, text) {
	setText(node, text);
	setAttribute(node, 'data-value', value);
}

/*
 * Makes the children of `parent` those of `items`, in their order. A child whose key is there already is
 * kept, and moved only if it has to be; `make` builds a new one, `update` fills it in.
 */
export function keep(parent, items, key, make, update) {
	const old = new Map();
	for (const child of parent.children)
		old.set(child.dataset.key, child);
	let at = parent.firstElementChild;
	for (const item of items) {
		const name = key(item);
		let child = old.get(name);
		if (child) {
			old.delete(name);
		} else {
			child = make(item);
			child.dataset.key = name;
		}
		update(child, item);
		if (child === at)
			at = at.nextElementSibling;
		else
			moveBefore(parent, child, at);
	}
	for (const child of old.values())
		removeKindly(child);
}

/* Where the focus was in it, it goes to the same thing next door. */
function removeKindly(child) {
	const next = child.nextElementSibling ?? child.previousElementSibling;
	const focused = child.contains(document.activeElement) ? document.activeElement.classList[0] : null;
	child.remove();
	if (focused)
		next?.querySelector(`.${focused}`)?.focus({ preventScroll: true });
}

/* Shows one of two in place of the other, with the focus, if that was there. */
export function swap(hidden, shown) {
	const focused = document.activeElement === hidden;
	hidden.hidden = true;
	shown.hidden = false;
	if (focused)
		shown.focus({ preventScroll: true });
}

/* Moving a node takes the focus away from what is in it. */
function moveBefore(parent, child, at) {
	const active = child.contains(document.activeElement) ? document.activeElement : null;
	parent.insertBefore(child, at);
	active?.focus({ preventScroll: true });
}

/* Pairs of a name and a value, the last one maybe with a hint. */
export function figures(list, pairs) {
	keep(list, pairs, (p) => p.name,
		() => h('div', {}, h('dt'), h('dd')),
		(div, p) => {
			setText(div.firstElementChild, p.name);
			setValue(div.lastElementChild, p.value, p.text ?? String(p.value));
			setAttribute(div, 'title', p.title);
			setAttribute(div, 'class', p.kind);
		});
}

/* A state is told by its word and a sign's shape; the colour only helps. */
const signs = {
	free: '○', busy: '●', pacing: '◔', paused: 'Ⅱ', limited: '◆', stuck: '▲', stalled: '▲',
	up: '●', draining: '◔', stopped: '○', silent: '▲',
};

export function setState(node, state) {
	if (node.dataset.state === state)
		return;
	node.dataset.state = state;
	node.replaceChildren(h('span', { 'aria-hidden': 'true', class: 'sign' }, signs[state] ?? '?'), named('state', state));
}

export const stateNode = () => h('span', { class: 'state' });
