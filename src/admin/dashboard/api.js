/*
 * api.js - the operators' API. Without the right token everything waits for one.
 */

const KEY = 'turnstile.token';

export class ApiError extends Error {
	constructor(status, code, message) {
		super(message);
		this.status = status;
		this.code = code;
	}
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

async function send(method, path, body, token, signal) {
	const headers = {};
	if (token !== null)
		headers.authorization = `Bearer ${token}`;
	if (body !== undefined)
		headers['content-type'] = 'application/json';
	return fetch(path, {
		method, headers, signal,
		body: body === undefined ? undefined : JSON.stringify(body),
		cache: 'no-store', credentials: 'omit', redirect: 'error', referrerPolicy: 'no-referrer',
	});
}

/* The document of the answer; an ApiError with the API's own words; or a TypeError: no answer. */
export async function request(method, path, body) {
	for (;;) {
		const token = sessionStorage.getItem(KEY);
		const response = await send(method, path, body, token, AbortSignal.timeout(10000));
		if (response.status === 401) {
			await newToken(token);
			continue;
		}
		const text = await response.text();
		let document = null;
		try {
			document = JSON.parse(text);
		} catch {
			/* not from turnstile, maybe from something in between */
		}
		if (response.ok && document !== null)
			return document;
		throw new ApiError(response.status, document?.error?.code ?? 'no_json',
			document?.error?.message ?? `the answer has the status ${response.status}`);
	}
}

export const accountPath = (account) => `/api/queues/${encodeURIComponent(account)}`;
