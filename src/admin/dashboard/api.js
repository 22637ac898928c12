/*
 * api.js - the operators' API. Without the right token everything waits for one.
 */
import { named, said, text } from './language.js';

const KEY = 'turnstile.token';

/* `status` 0: there was no answer. */
export class ApiError extends Error {
	constructor(status, code, message) {
		super(message);
		this.status = status;
		this.code = code;
	}
}

/* What went wrong, for the person. */
export function inWords(error) {
	const message = said(error.message);
	return message !== error.message ? message : named('error', error.code, { message }, message);
}

let askForToken = null;
let asking = null;

/* `ask(wrong)` resolves to a token; it isn't called again before that. */
export function onTokenNeeded(ask) {
	askForToken = ask;
}

/* Of this tab only: the browser drops it with the tab. */
export const hasToken = () => sessionStorage.getItem(KEY) !== null;
export const forgetToken = () => sessionStorage.removeItem(KEY);

async function newToken(used) {
	if (sessionStorage.getItem(KEY) !== used)
		return; /* somebody else has got one meanwhile */
	asking ??= askForToken(used !== null).finally(() => { asking = null; });
	sessionStorage.setItem(KEY, await asking);
}

/* The response and its body. */
async function send(method, path, body, token) {
	const headers = {};
	if (token !== null)
		headers.authorization = `Bearer ${token}`;
	if (body !== undefined)
		headers['content-type'] = 'application/json';
	try {
		const response = await fetch(path, {
			method, headers, signal: AbortSignal.timeout(10000),
			body: body === undefined ? undefined : JSON.stringify(body),
			cache: 'no-store', credentials: 'omit', redirect: 'error', referrerPolicy: 'no-referrer',
		});
		return [response, await response.text()];
	} catch {
		throw new ApiError(0, 'no_answer', text('unreachable'));
	}
}

async function answerTo(method, path, body) {
	for (;;) {
		const token = sessionStorage.getItem(KEY);
		const [response, answer] = await send(method, path, body, token);
		if (response.status !== 401)
			return [response, answer];
		await newToken(token);
	}
}

function parse(answer) {
	try {
		return JSON.parse(answer);
	} catch {
		return null; /* not from turnstile, maybe from something in between */
	}
}

const failure = (response, document) => new ApiError(response.status, document?.error?.code ?? 'no_json',
	document?.error?.message ?? text('no json', { status: String(response.status) }));

/* The document of the answer; or an ApiError with the API's own words. */
export async function request(method, path, body) {
	const [response, answer] = await answerTo(method, path, body);
	const document = parse(answer);
	if (response.ok && document !== null)
		return document;
	throw failure(response, document);
}

/* The same of what isn't JSON: its text. */
export async function download(path) {
	const [response, answer] = await answerTo('GET', path);
	if (response.ok)
		return answer;
	throw failure(response, parse(answer));
}

export const accountPath = (account) => `/api/queues/${encodeURIComponent(account)}`;
