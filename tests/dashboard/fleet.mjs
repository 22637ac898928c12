/*
 * fleet.mjs - the processes behind the page: Redis, the fake relay, turnstiles; and requests to them.
 *
 * Ports are free ones. What takes time is waited for with a limit, which fits this machine (tests/README.md).
 */
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, openSync, closeSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

export const directory = mkdtempSync(join(tmpdir(), 'turnstile-dashboard-'));
const processes = new Set();
const requests = new Set();
const faults = []; /* who didn't end as one should */
let started = 0, isOver = false;

/* How long those that a test left may take to end as they are told; what doesn't is killed. */
const OBEYS_MS = Number(process.env.OBEYS_MS ?? 5000);
/* How long Node may take to end when all is stopped; what keeps it then was left by a test. */
const GRACE_MS = 5000;

export const pause = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

/* What takes `n` on a quiet machine takes so long here and now (tests/pace.c). */
export const scaled = (n) => Math.ceil(n * Number(execFileSync(join(dirname(process.env.FAKE_RELAY), 'pace'))));

/* Until `condition` gives something true: that. The limit is scaled when it is over: what slows us may be new. */
export async function until(what, condition, limit = 20000) {
	const start = Date.now();
	for (;;) {
		const value = await condition();
		if (value)
			return value;
		const took = Date.now() - start;
		if (took > limit && took > scaled(limit))
			throw new Error(`in ${took} ms it did not happen: ${what}`);
		await pause(25);
	}
}

/* --- processes -------------------------------------------------------------------------------- */

/* None outlives this process, whatever ends it. */
process.on('exit', () => processes.forEach((p) => p.kill('SIGKILL')));

/* `options`: for spawn(), where it isn't as usual. `mayFail`: a status that isn't 0 is no fault. */
export function start(program, args, name, { mayFail = name === 'redis', ...options } = {}) {
	if (isOver)
		throw new Error(`${name} is started by a test that is over`);
	const log = join(directory, `${++started}-${name}.log`);
	const fd = openSync(log, 'w');
	const env = { PATH: process.env.PATH, HOME: directory, ...options.env };
	const child = spawn(program, args, { ...options, stdio: ['ignore', fd, fd], env });
	closeSync(fd);
	const p = { name, pid: child.pid, log: () => readFileSync(log, 'utf8'), ended: false };
	child.unref(); /* what waits for it has a limit; it alone keeps nobody */
	child.on('exit', (status, signal) => {
		p.ended = true;
		const bad = status !== 0 && signal !== 'SIGKILL' && signal !== 'SIGTERM';
		/* A Redis whose port is taken ends as well; another one is tried. */
		if ((bad && !mayFail) || /Sanitizer|runtime error/.test(p.log()))
			faults.push(`${name} ended with ${status ?? signal}:\n${p.log().slice(-4000)}`);
	});
	p.kill = (signal) => child.kill(signal);
	processes.add(p);
	return p;
}

export async function stop(p, signal = 'SIGTERM', limit = 20000) {
	p.isStopped = true;
	p.kill(signal);
	await until(`${p.name} ends`, () => p.ended, limit);
	processes.delete(p);
}

/* One that is to end by itself. */
export async function ends(p, limit) {
	await until(`${p.name} ends`, () => p.ended, limit);
	processes.delete(p);
}

export async function startRelay() {
	const p = start(process.env.FAKE_RELAY, ['--port', '0'], 'relay');
	const line = await until('the relay listens', () => p.log().match(/^listening on (.*)$/m));
	return Object.assign(p, { address: line[1] });
}

function freePort() {
	return new Promise((resolve) => {
		const server = net.createServer().listen(0, '127.0.0.1', () => {
			const { port } = server.address();
			server.close(() => resolve(port));
		});
	});
}

export async function startRedis(port) {
	for (let attempt = 0; attempt < 10; attempt++) {
		const at = port ?? await freePort();
		const p = start('redis-server', ['--port', String(at), '--bind', '127.0.0.1', '--dir', directory,
			'--save', '', '--appendonly', 'no', '--daemonize', 'no'], 'redis');
		await until('Redis is ready or has ended', () => p.log().includes('Ready to accept connections') || p.ended);
		if (!p.ended)
			return Object.assign(p, { port: at, url: `redis://127.0.0.1:${at}` });
		processes.delete(p);
	}
	throw new Error('Redis does not start');
}

/* A command of Redis: an array of its arguments; the answer as RESP sends it. */
export function redis(server, ...commands) {
	return new Promise((resolve, reject) => {
		const socket = net.connect(server.port, '127.0.0.1');
		let answer = '';
		socket.on('error', reject);
		socket.on('data', (data) => { answer += data; });
		socket.on('close', () => resolve(answer));
		for (const command of [...commands, ['QUIT']]) {
			const parts = command.map((a) => Buffer.from(String(a)));
			socket.write(`*${parts.length}\r\n`);
			for (const part of parts)
				socket.write(Buffer.concat([Buffer.from(`$${part.length}\r\n`), part, Buffer.from('\r\n')]));
		}
	});
}

/* How many scripts Redis has run. */
export async function countScripts(server) {
	const stats = await redis(server, ['INFO', 'commandstats']);
	return [...stats.matchAll(/^cmdstat_eval(?:sha)?:calls=(\d+)/gm)].reduce((n, [, calls]) => n + Number(calls), 0);
}

/*
 * For `ms`, and until so many connections have asked for surveys: a list of one count of them for each connection,
 * how many scripts Redis ran in all, and how long that was.
 */
export async function watchRedis(server, ms, askers = 0) {
	let seen = '';
	const socket = net.connect(server.port, '127.0.0.1');
	socket.on('data', (data) => { seen += data; });
	socket.write('MONITOR\r\n');
	await until('Redis tells what it does', () => seen.startsWith('+OK'));
	const before = await countScripts(server), began = performance.now();
	const from = seen.length;
	const surveys = () => {
		const counts = new Map();
		for (const line of seen.slice(from).split('\n')) {
			const [, peer] = /^\+[\d.]+ \[\d+ (\S+)\] "EVAL(?:SHA)?" .*_index" .*_notes"/i.exec(line) ?? [];
			if (peer)
				counts.set(peer, (counts.get(peer) ?? 0) + 1);
		}
		return [...counts.values()];
	};
	await pause(ms);
	await until(`${askers} connections ask`, () => surveys().length >= askers);
	const scripts = await countScripts(server) - before, tookMs = performance.now() - began;
	socket.destroy();
	return { surveys: surveys(), scripts, tookMs };
}

/* What was on its way when pages went: until a second passes in which nobody asks. */
export const isQuiet = (server) => until('nobody asks any more', async () =>
	(await watchRedis(server, 1000)).surveys.length === 0);

/* { redis, relay, options: { 'queue.delay_ms': 0, … } } */
export async function startTurnstile(instance, { redis: server, relay, options = {} }) {
	/* Sweeping asks a script for each account that there was: not while what pages cost is counted. */
	const all = {
		'queue.cleanup_interval_ms': 3600000,
		'listen.address': '127.0.0.1:0', 'admin.address': '127.0.0.1:0', 'log.format': 'json', 'queue.delay_ms': 0,
		'upstream.url': `http://${relay.address}`, 'account.source': 'header:X-Account', ...options,
	};
	if (server)
		Object.assign(all, { 'redis.url': server.url, 'redis.instance': instance, 'redis.command_timeout_ms': Math.min(scaled(500), 3000) });
	const p = start(process.env.TURNSTILE, Object.entries(all).flatMap(([k, v]) => ['-o', `${k}=${v}`]), instance);
	const line = await until(`${instance} listens`, () => p.log().split('\n').find((l) => l.includes('"msg":"listening"')) || p.ended);
	if (p.ended)
		throw new Error(`${instance} does not start: ${p.log()}`);
	const { address, admin } = JSON.parse(line);
	return Object.assign(p, { url: `http://${address}`, admin: `http://${admin}`, token: all['admin.token'] });
}

/*
 * Everything, also what a failed test left. Returns who had ended by itself, or badly. The last call of a run: Node
 * ends soon after it, whatever a failed test still listens to or waits for.
 */
export async function stopAll() {
	isOver = true;
	for (const p of processes) {
		if (p.ended && !p.isStopped)
			faults.push(`${p.name} ended by itself:\n${p.log().slice(-2000)}`);
	}
	for (const r of requests)
		r.destroy();
	for (const name of ['turnstile', 'rest']) {
		const some = [...processes].filter((p) => name === 'rest' || (p.name !== 'redis' && p.name !== 'relay'));
		await Promise.all(some.map((p) => p.ended || stop(p, 'SIGTERM', OBEYS_MS).catch(() => stop(p, 'SIGKILL'))));
		some.forEach((p) => processes.delete(p));
	}
	rmSync(directory, { recursive: true, force: true, maxRetries: 10 });
	setTimeout(() => {
		console.error(`still open ${GRACE_MS} ms after the tests: ${process.getActiveResourcesInfo().join(', ')}`);
		process.exit(1);
	}, GRACE_MS).unref();
	return faults;
}

/* --- requests --------------------------------------------------------------------------------- */

const BODY = JSON.stringify({ model: 'm', max_tokens: 9, stream: true, messages: [{ role: 'user', content: 'hi' }] });

/*
 * A user message of `account`, called `tag` at the relay. `fields`: more header fields, to turnstile
 * and to the relay. Its `end` resolves to status and body, also if it was cut.
 */
export function ask(turnstile, account, tag, fields = {}) {
	const r = http.request(`${turnstile.url}/v1/messages`, {
		method: 'POST', agent: false,
		headers: { 'x-account': account, 'content-type': 'application/json', 'x-relay-tag': tag, ...fields },
	});
	requests.add(r);
	const ended = new Promise((resolve) => {
		const finish = (status, body) => {
			requests.delete(r);
			resolve({ status, body });
		};
		r.on('error', () => finish(0, ''));
		r.on('response', (response) => {
			let body = '';
			response.on('data', (data) => { body += data; });
			response.on('close', () => finish(response.statusCode, body));
			response.on('error', () => {});
		});
	});
	r.end(BODY);
	return { ended, hangUp: () => r.destroy() };
}

export const HOLDS = { 'x-relay-fault': 'stall', 'x-relay-cut-after': '3' };

/* What is answered; throws where that is an error, so that no step of a test fails unseen. */
export async function json(url, options = {}) {
	const response = await fetch(url, options), text = await response.text();
	if (!response.ok)
		throw new Error(`${options.method ?? 'GET'} ${url}: ${response.status} ${text}`);
	return JSON.parse(text);
}

/* What the relay knows of the request with that tag; undefined: it never came. */
export async function atRelay(relay, tag) {
	const stats = await json(`http://${relay.address}/__relay/stats`);
	return stats.requests.find((r) => r.tag === tag);
}

export const reaches = (relay, tag) => until(`${tag} reaches the relay`, () => atRelay(relay, tag));

/* A turn that doesn't end by itself. */
export async function hold(turnstile, relay, account, tag) {
	const r = ask(turnstile, account, tag, HOLDS);
	await reaches(relay, tag);
	return r;
}

export const accountOf = (turnstile, account) => json(`${turnstile.admin}/api/queues/${encodeURIComponent(account)}`,
	{ headers: turnstile.token ? { authorization: `Bearer ${turnstile.token}` } : {} });

/* Stands in line as the n-th. */
export async function lineUp(turnstile, account, tag, n) {
	const r = ask(turnstile, account, tag);
	await until(`${tag} is number ${n} in line`, async () => (await accountOf(turnstile, account)).waiting === n);
	return r;
}
