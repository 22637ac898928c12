/*
 * dialogs.js - questions to the person: is it meant, which token, which settings.
 */
import { accountPath, inWords, request } from './api.js';
import { byId, setText } from './dom.js';
import { named, text } from './language.js';

const FIELDS = ['mode', 'delayMs', 'timeoutMs', 'turns'];

function closed(dialog) {
	return new Promise((resolve) => {
		dialog.addEventListener('close', () => resolve(dialog.returnValue), { once: true });
	});
}

function open(dialog) {
	dialog.returnValue = '';
	if (!dialog.open)
		dialog.showModal();
	return closed(dialog);
}

/* { title, text, target, yes } -> whether it is meant */
export async function confirm(question) {
	setText(byId('confirm-title'), question.title);
	setText(byId('confirm-text'), question.text);
	setText(byId('confirm-target'), question.target);
	setText(byId('confirm-yes'), question.yes);
	return await open(byId('confirm')) === 'yes';
}

/* A token; asks until there is one. */
export async function askForToken(wrong) {
	const dialog = byId('token'), input = byId('token-input');
	const refuse = (event) => event.preventDefault(); /* Escape: without a token there is nothing */
	dialog.addEventListener('cancel', refuse);
	byId('token-error').hidden = !wrong;
	setText(byId('token-error'), wrong ? text('token.wrong') : '');
	let token = '';
	while (!token) {
		input.value = '';
		await open(dialog);
		/* What can't be in a header can't be the token either. */
		token = input.value.trim().replace(/[^\x21-\x7e]/g, '?');
	}
	input.value = '';
	dialog.removeEventListener('cancel', refuse);
	return token;
}

/* --- settings --------------------------------------------------------------------------------- */

function fill(config) {
	for (const name of FIELDS) {
		byId(`edit-${name}`).value = String(config[name]);
		setText(byId(`edit-${name}-source`), named('source', config.sources[name]));
	}
	byId('edit-reset').disabled = !Object.keys(config.runtime).length;
}

/* What was changed, as the API wants it: what is no number goes there as it was typed, to be refused. */
function changes(config) {
	const changed = {};
	for (const name of FIELDS) {
		const typed = byId(`edit-${name}`).value.trim();
		if (typed === String(config[name]))
			continue;
		changed[name] = name === 'mode' ? typed : /^-?\d+(\.\d+)?$/.test(typed) ? Number(typed) : typed;
	}
	/* That is the other way to say off, and it wins. */
	if (changed.mode && changed.mode !== 'off' && !config.enabled)
		changed.enabled = true;
	return changed;
}

function fail(error) {
	byId('edit-error').hidden = !error;
	setText(byId('edit-error'), error ? inWords(error) : '');
}

/* `account`: null for all. Resolves to what was done, or null. */
export async function editSettings(account) {
	const path = account === null ? '/api/config' : `${accountPath(account)}/config`;
	const dialog = byId('edit'), form = dialog.querySelector('form');
	const config = await request('GET', path);
	let result = null;

	const send = async (method, body, done) => {
		try {
			await request(method, path, body);
			result = done;
			dialog.close();
		} catch (error) {
			fail(error);
		}
	};
	/* Enter in a field takes a form's first button that submits it, so Save is the only one. */
	const submit = (event) => {
		event.preventDefault();
		const changed = changes(config);
		if (Object.keys(changed).length)
			send('PUT', changed, text('saved'));
		else
			dialog.close();
	};
	const cancel = () => dialog.close();
	const reset = () => send('DELETE', undefined, text('dropped'));

	setText(byId('edit-title'), account === null ? text('settings') : text('settings of', { account }));
	setText(byId('edit-scope'), text(account === null ? 'settings.scope' : 'account settings.scope'));
	fail(null);
	fill(config);
	form.addEventListener('submit', submit);
	byId('edit-reset').addEventListener('click', reset);
	byId('edit-cancel').addEventListener('click', cancel);
	await open(dialog);
	form.removeEventListener('submit', submit);
	byId('edit-reset').removeEventListener('click', reset);
	byId('edit-cancel').removeEventListener('click', cancel);
	return result;
}
