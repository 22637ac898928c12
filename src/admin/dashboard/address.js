/*
 * address.js - what is chosen, searched and sorted, as the part of the page's address behind "#": so it can be kept, sent
 * to somebody, and gone back to.
 *
 *      #account=team-a&hours=24&q=team&sort=account&order=asc&offset=20        without what is as usual
 */

import { HOURS } from './history.js';

const USUAL = { sort: 'wait', order: 'desc', q: '', offset: 0 };

/* { account, hours, sort, order, q, offset }; null where the address means something else, such as a part of the page. */
export function readAddress() {
	const hash = location.hash.slice(1);
	if (hash && !hash.includes('='))
		return null;
	const q = new URLSearchParams(hash);
	const offset = Number(q.get('offset')), hours = Number(q.get('hours'));
	return {
		account: q.get('account') || null,
		hours: HOURS.includes(hours) ? hours : null, // of the history; null: it is closed
		sort: /^[a-z]{1,20}$/.test(q.get('sort') ?? '') ? q.get('sort') : USUAL.sort,
		order: q.get('order') === 'asc' ? 'asc' : USUAL.order,
		q: (q.get('q') ?? '').slice(0, 100),
		offset: Number.isInteger(offset) && offset > 0 && offset < 1e6 ? offset : 0,
	};
}

/* `isStep`: one that Back goes back from; else the address changes in place. */
export function writeAddress(account, hours, view, isStep) {
	const q = new URLSearchParams();
	if (account !== null)
		q.set('account', account);
	if (hours !== null)
		q.set('hours', hours);
	for (const name of Object.keys(USUAL)) {
		if (view[name] !== USUAL[name])
			q.set(name, view[name]);
	}
	const text = q.toString().replaceAll('+', '%20');
	const address = text ? `#${text}` : location.pathname;
	if (isStep)
		history.pushState(null, '', address);
	else
		history.replaceState(null, '', address);
}
