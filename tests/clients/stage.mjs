/*
 * stage.mjs - two turnstiles in front of the fake relay, one of which sends heartbeats, and the clients: Claude Code in
 * print mode, and the SDK.
 *
 * Each case has an account of its own, which its clients name in a header. What the relay does with a request, a header
 * says as well.
 */
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { after, before } from 'node:test';
import Anthropic from '@anthropic-ai/sdk';
import { accountOf, directory, ends, json, scaled, start, startRelay, startTurnstile, stopAll, until } from './fleet.mjs';

export let relay, turnstile, beating;

/* Times as of a proxy that cuts after a minute of silence, and of heartbeats, a twelfth of what they are in life. */
export const CUTS_AFTER_MS = 5000;
const HEARTBEATS = { 'queue.heartbeat_after_ms': 2000, 'queue.heartbeat_ms': 1000 };

before(async () => {
	relay = await startRelay();
	turnstile = await startTurnstile('turnstile', { relay });
	beating = await startTurnstile('beating', { relay, options: HEARTBEATS });
});

after(async () => {
	assert.deepEqual(await stopAll(), []);
});

/* What turnstile wrote about requests of that account. */
export const exchanges = (account, at = turnstile) => at.log().split('\n').filter((line) => line.includes('"msg":"exchange"'))
	.map((line) => JSON.parse(line)).filter((line) => line.account === account);

/* What the relay has seen of an account. */
export async function atRelay(account) {
	const { requests } = await json(`http://${relay.address}/__relay/stats`);
	return requests.filter((r) => r.tag === account && r.method === 'POST');
}

export const waits = (account, at = turnstile) => until(`${account} is in line`, async () => (await accountOf(at, account)).waiting === 1);

/* From now on requests of that account wait so long at most. */
export async function setPatience(account, timeoutMs, at = turnstile) {
	await json(`${at.admin}/api/queues/${account}/config`, { method: 'PUT', headers: { 'content-type': 'application/json' },
		body: JSON.stringify({ timeoutMs }) });
	await until('it is in effect', async () => (await json(`${at.admin}/api/queues/${account}/config`)).timeoutMs === timeoutMs);
}

/* A proxy in front of that turnstile which cuts connections that are silent. Resolves to its URL. */
export function cutting(at) {
	const { hostname, port } = new URL(at.url);
	const server = net.createServer((client) => {
		const inner = net.connect(port, hostname);
		inner.setTimeout(CUTS_AFTER_MS, () => client.destroy());
		for (const [from, to] of [[client, inner], [inner, client]]) {
			from.on('error', () => {});
			from.on('close', () => to.destroy());
			from.pipe(to);
		}
	}).unref();
	return new Promise((resolve) => {
		server.listen(0, '127.0.0.1', () => resolve(`http://127.0.0.1:${server.address().port}`));
	});
}

/*
 * Claude Code is asked `prompt`, and ends. `script`: headers for the relay. In a home and a directory of its own, `cwd`.
 * Its `ended` resolves to what it printed: `events`, of which the last one is `result`.
 */
export function claude(account, prompt, { script = [], args = [], url = turnstile.url } = {}) {
	const home = join(directory, `home-${account}`), cwd = join(directory, `work-${account}`);
	mkdirSync(home);
	mkdirSync(cwd);
	const p = start(process.env.CLAUDE, ['-p', prompt, '--output-format', 'stream-json', '--verbose', ...args], `claude-${account}`, {
		cwd,
		env: {
			HOME: home, ANTHROPIC_BASE_URL: url, ANTHROPIC_API_KEY: 'sk-ant-made-up',
			ANTHROPIC_CUSTOM_HEADERS: [`X-Account: ${account}`, `X-Relay-Tag: ${account}`, ...script].join('\n'),
			CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1', DISABLE_AUTOUPDATER: '1',
		},
	});
	const ended = ends(p, 90000).then(() => {
		const events = p.log().split('\n').filter((line) => line.startsWith('{')).map((line) => JSON.parse(line));
		return { events, result: events.at(-1), log: p.log() };
	});
	return { cwd, ended };
}

export const isAnswered = ({ result, log }) => {
	assert.equal(result?.type, 'result', log);
	assert.equal(result.is_error, false, log);
	assert.match(result.result, /and so on/);
};

export const sdk = (account, script = {}, options = {}) => new Anthropic({ baseURL: turnstile.url, apiKey: 'made-up',
	timeout: scaled(60000), defaultHeaders: { 'X-Account': account, 'X-Relay-Tag': account, ...script }, ...options });

export const MESSAGE = { model: 'claude-fake-1', max_tokens: 100, messages: [{ role: 'user', content: 'hello' }] };
