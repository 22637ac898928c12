/*
 * dialogs.js - questions to the person: is it meant, which token, which settings.
 */
import { accountPath, ApiError, request } from './api.js';
import { byId, setText } from './dom.js';

const FIELDS = ['mode', 'delayMs', 'timeoutMs', 'turns'];
const SOURCES = {
	configuration: 'as configured',
	runtime: 'set at run time, for all accounts',
	runtime_account: 'set at run time, for this account',
};

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
	setText(byId('token-error'), wrong ? 'That was not the token.' : '');
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
		setText(byId(`edit-${name}-source`), SOURCES[config.sources[name]] ?? config.sources[name]);
	}
	byId('edit-reset').disabled = !Object.keys(config.runtime).length;
}

/* What was changed, as the API wants it: what is no number goes there as it was typed, to be refused. */
function changes(config) {
	const changed = {};
	for (const name of FIELDS) {
		const text = byId(`edit-${name}`).value.trim();
		if (text === String(config[name]))
			continue;
		changed[name] = name === 'mode' ? text : /^-?\d+(\.\d+)?$/.test(text) ? Number(text) : text;
	}
	/* That is the other way to say off, and it wins. */
	if (changed.mode && changed.mode !== 'off' && !config.enabled)
		changed.enabled = true;
	return changed;
}

function fail(error) {
	byId('edit-error').hidden = !error;
	setText(byId('edit-error'), !error ? '' : error instanceof ApiError ? error.message : 'turnstile can’t be reached');
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
			send('PUT', changed, 'Saved.');
		else
			dialog.close();
	};
	const cancel = () => dialog.close();
	const reset = () => send('DELETE', undefined, 'What was set at run time is dropped.');

	setText(byId('edit-title'), account === null ? 'Settings' : `Settings of ${account}`);
	setText(byId('edit-scope'), account === null
		? 'For all accounts and all instances, at once and over restarts. An account’s own settings win.'
		: 'For this account on all instances; they win over everything else.');
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
