/*
 * all.mjs - what turnstile does to the clients that it is for. All cases at once, as most of them wait.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { hold, pause, until } from './fleet.mjs';
import {
	CUTS_AFTER_MS, MESSAGE, atRelay, beating, claude, cutting, exchanges, isAnswered, relay, sdk, setPatience, turnstile, waits,
} from './stage.mjs';

const WAIT_MS = 40000;
const CUT = { 'X-Relay-Fault': 'cut-body', 'X-Relay-Cut-After': '5', 'X-Relay-First': '1' };
const lines = (script) => Object.entries(script).map(([name, value]) => `${name}: ${value}`);
const holder = (account, at = turnstile) => hold(at, relay, account, `${account}-holder`);
/* Until a client behind `first` has heard pings for a while: longer than a proxy lets it wait in silence. */
const hearsPings = async (account) => {
	await waits(account, beating);
	await pause(3 * CUTS_AFTER_MS);
	assert.deepEqual(await atRelay(account), []);
};
const overloaded = lines({ 'X-Relay-Status': '529', 'X-Relay-First': '1' });
/* Behind a client that has its answer: turnstile writes its line later. */
const told = (account, n, at = turnstile) => until(`${n} exchanges of ${account} have their line`, () => {
	const all = exchanges(account, at);
	return all.length >= n && all;
});
const outcomes = (account, what) => exchanges(account).filter((e) => e.outcome === what);

describe('Claude Code', { concurrency: true }, () => {
	it('a prompt', async () => {
		isAnswered(await claude('prompt', 'say hello').ended);
		assert.deepEqual((await atRelay('prompt')).map((r) => r.phase), ['done']);
		assert.deepEqual((await told('prompt', 1)).map((e) => [e.kind, e.outcome, e.position]), [['user_message', 'answered', 0]]);
	});

	it('a tool: its result passes, though another prompt waits', async () => {
		const c = claude('tool', 'make a file', { args: ['--allowedTools', 'Bash'],
			script: lines({ 'X-Relay-Tool': 'Bash {"command":"echo 42 >made; sleep 2","description":"makes a file"}' }) });
		isAnswered(await c.ended);
		assert.equal(readFileSync(join(c.cwd, 'made'), 'utf8'), '42\n');
		assert.equal((await atRelay('tool')).length, 2);
	});

	it(`a wait of ${WAIT_MS / 1000} s`, async () => {
		const first = await holder('waits'), c = claude('waits', 'say hello');
		await waits('waits');
		await pause(WAIT_MS);
		assert.deepEqual(await atRelay('waits'), []);
		first.hangUp();
		isAnswered(await c.ended);
		const all = await told('waits', 2), answered = all.find((e) => e.outcome === 'answered');
		assert.ok(answered.wait_ms >= WAIT_MS, `${answered.wait_ms} ms`);
		assert.equal(all.length, 2, 'it never asked again');
	});

	it('refused, and back by itself until it has its turn', async () => {
		const first = await holder('refused');
		await setPatience('refused', 2000);
		const c = claude('refused', 'say hello');
		await until('it is refused twice', () => outcomes('refused', 'queue_timeout').length >= 2, 60000);
		first.hangUp();
		const ended = await c.ended;
		isAnswered(ended);
		assert.ok(ended.events.some((e) => e.subtype === 'api_retry' && e.error_status === 503), ended.log);
		assert.equal((await atRelay('refused')).length, 1, 'who is refused never reaches the upstream');
	});

	it('heartbeats: a wait behind a proxy that cuts what is silent', async () => {
		const first = await holder('beats', beating), c = claude('beats', 'say hello', { url: await cutting(beating) });
		await hearsPings('beats');
		first.hangUp();
		isAnswered(await c.ended);
		assert.equal((await told('beats', 2, beating)).length, 2, 'it never asked again');
		assert.equal((await atRelay('beats')).length, 1);
	});

	it("the relay's error behind heartbeats: it asks again by itself", async () => {
		const first = await holder('beats-error', beating);
		const c = claude('beats-error', 'say hello', { url: beating.url, script: overloaded });
		await hearsPings('beats-error');
		first.hangUp();
		isAnswered(await c.ended);
		assert.ok((await told('beats-error', 3, beating)).some((e) => e.status === 200 && e.event_status === 529));
	});

	it('refused behind heartbeats: it asks again, and has its place', async () => {
		const first = await holder('beats-refused', beating);
		await setPatience('beats-refused', 5000, beating);
		const c = claude('beats-refused', 'say hello', { url: beating.url });
		await until('it is refused', () => exchanges('beats-refused', beating).some((e) => e.event_status === 503));
		await setPatience('beats-refused', 60000, beating);
		first.hangUp();
		isAnswered(await c.ended);
		assert.equal((await atRelay('beats-refused')).length, 1);
	});

	it('a stream that is cut is no answer: it asks again', async () => {
		isAnswered(await claude('cut', 'say hello', { script: lines(CUT) }).ended);
		assert.deepEqual((await atRelay('cut')).map((r) => r.phase), ['cut', 'done']);
		assert.deepEqual((await told('cut', 2)).map((e) => e.outcome), ['upstream_broken', 'answered']);
	});
});

describe('the SDK', { concurrency: true }, () => {
	it('a stream, event by event', async () => {
		const kinds = [];
		for await (const event of sdk('stream').messages.stream(MESSAGE))
			kinds.push(event.type);
		assert.deepEqual([kinds[0], kinds.filter((kind) => kind === 'content_block_delta').length, kinds.at(-1)],
			['message_start', 5, 'message_stop']);
	});

	it('a message that is no stream', async () => {
		const message = await sdk('whole').messages.create(MESSAGE);
		assert.equal(message.stop_reason, 'end_turn');
		assert.match(message.content[0].text, /and so on/);
	});

	it('waits behind another one', async () => {
		const first = await holder('behind'), text = sdk('behind').messages.stream(MESSAGE).finalText();
		await waits('behind');
		assert.deepEqual(await atRelay('behind'), []);
		first.hangUp();
		assert.match(await text, /and so on/);
	});

	it('refused, and back by itself', async () => {
		const first = await holder('back');
		await setPatience('back', 1000);
		const text = sdk('back').messages.stream(MESSAGE).finalText();
		await until('it is refused', () => outcomes('back', 'queue_timeout').length === 1);
		await setPatience('back', 60000);
		first.hangUp();
		assert.match(await text, /and so on/);
	});

	it('heartbeats: a wait behind a proxy that cuts what is silent, and no ping among the events', async () => {
		const first = await holder('beats-sdk', beating), baseURL = await cutting(beating), kinds = [];
		const read = (async () => {
			for await (const event of await sdk('beats-sdk', {}, { baseURL, maxRetries: 0 }).messages.create({ ...MESSAGE, stream: true }))
				kinds.push(event.type);
		})();
		await hearsPings('beats-sdk');
		first.hangUp();
		await read;
		assert.deepEqual([kinds[0], kinds.at(-1)], ['message_start', 'message_stop']);
		assert.ok(!kinds.includes('ping'));
	});

	it('without heartbeats it is cut there', async () => {
		const first = await holder('silent'), options = { baseURL: await cutting(turnstile), maxRetries: 0 };
		const error = await sdk('silent', {}, options).messages.stream(MESSAGE).finalText().then((text) => `resolved to ${text}`, (e) => e);
		assert.ok(error instanceof Error, String(error));
		await until('it has left the line', () => outcomes('silent', 'client_gone').length === 1);
		first.hangUp();
	});

	it('errors behind heartbeats are errors: of the relay, of the line, a cut', async () => {
		const ask = (account, script = {}) => sdk(account, script, { baseURL: beating.url, maxRetries: 0 }).messages.stream(MESSAGE).finalText()
			.then((text) => `resolved to ${text}`, (e) => e);
		const cases = ['beats-529', 'beats-cut', 'beats-late'];
		const firsts = await Promise.all(cases.map((account) => holder(account, beating)));
		await setPatience('beats-late', 4000, beating);
		const asked = [ask(cases[0], { 'X-Relay-Status': '529' }), ask(cases[1], CUT), ask(cases[2])];
		await Promise.all(cases.slice(0, 2).map(hearsPings));
		firsts.forEach((first) => first.hangUp());
		const [error, cut, late] = await Promise.all(asked);
		assert.match(error.message, /overloaded_error/);
		assert.ok(cut instanceof Error, String(cut));
		assert.match(late.message, /waited too long for the account's turn: \d+ s so far, 1 request before it/);
		assert.match(late.message, /queue_timeout/);
	});

	it('refused for good: says why', async () => {
		const first = await holder('refusal');
		await setPatience('refusal', 1000);
		const error = await sdk('refusal', {}, { maxRetries: 0 }).messages.create(MESSAGE).catch((e) => e);
		assert.equal(error.status, 503);
		assert.equal(error.type, 'queue_timeout');
		assert.ok(error.message.length > 20, error.message);
		first.hangUp();
	});

	it('a stream that is cut is an error, never the end', async () => {
		const error = await sdk('cut-sdk', CUT).messages.stream(MESSAGE).finalText().then((text) => `resolved to ${text}`, (e) => e);
		assert.ok(error instanceof Error, String(error));
		assert.match(await sdk('cut-sdk', CUT).messages.stream(MESSAGE).finalText(), /and so on/);
	});
});
