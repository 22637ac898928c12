/*
 * request.js - one request that is in line or has a turn, opened: what is known of it, for the log and for scripts.
 * Its own process knows most (`request` of the API); of one elsewhere there is what the line knows.
 */
import { accountPath, hasToken } from './api.js';
import { byId, figures, setText } from './dom.js';
import { bytes, clock, count, duration, text } from './language.js';

const dialog = byId('request');
let ticket = null; /* of the one that is open */

/* For a POSIX shell: nothing in it means anything. */
const quoted = (words) => `'${words.replaceAll("'", "'\\''")}'`;

function asCurl(account) {
	const token = hasToken() ? ['-H "Authorization: Bearer $TOKEN"'] : [];
	return ['curl -s', ...token, quoted(location.origin + accountPath(account)), '| jq',
		quoted(`.holders + .waiters | .[] | select(.ticket == ${JSON.stringify(ticket)})`)].join(' ');
}

/* Where the page isn't secure (plain HTTP, not on this machine) there is no clipboard but that of a selection. */
async function copy(words) {
	if (navigator.clipboard) {
		await navigator.clipboard.writeText(words);
	} else {
		const range = document.createRange(), node = byId('request-curl'), shown = node.textContent;
		node.textContent = words;
		range.selectNodeContents(node);
		getSelection().removeAllRanges();
		getSelection().addRange(range);
		document.execCommand('copy');
		getSelection().removeAllRanges();
		node.textContent = shown;
	}
	setText(byId('request-done'), text('copied'));
}

function detailsOf(p) {
	const r = p.request ?? {}, age = (p.waitedMs ?? 0) + (p.heldMs ?? 0);
	const since = r.since ? Date.parse(r.since) : Date.now() - age;
	return [
		[text('since'), text('ago', { time: clock(since), age: duration(Math.max(0, Date.now() - since)) })],
		[text('position'), p.position ? count(p.position) : null],
		[text('waited'), duration(p.waitedMs)], [text('held'), duration(p.heldMs)],
		[text('share'), p.share], [text('mark'), p.mark], [text('client'), p.client], [text('instance.name'), p.instance],
		[text('model'), r.model], [text('size'), p.request ? bytes(r.bodyBytes) : null], [text('path'), r.path],
		[text('session'), r.session], [text('request id'), r.requestId], [text('upstream id'), r.upstreamRequestId],
		[text('ticket'), p.ticket],
	].map(([name, value]) => ({ name, value: null, text: value ?? '–' }));
}

/* Of the account as it is now; what was known of a request that is over stays. */
export function showRequest(account) {
	if (!dialog.open || !account)
		return;
	const p = [...account.holders, ...account.waiters].find((one) => one.ticket === ticket);
	setText(byId('request-more'), !p ? text('is over')
		: p.request ? '' : text('known elsewhere', { instance: p.instance ?? '–' }));
	if (!p)
		return;
	figures(byId('request-details'), detailsOf(p));
	setText(byId('request-curl'), asCurl(account.accountId));
	byId('request-copy-id').dataset.id = p.request?.requestId ?? p.ticket;
}

export function openRequest(account, wanted) {
	ticket = wanted;
	setText(byId('request-done'), '');
	dialog.showModal();
	showRequest(account);
}

byId('request-copy-id').addEventListener('click', (event) => copy(event.target.dataset.id));
byId('request-copy-curl').addEventListener('click', () => copy(byId('request-curl').textContent));
