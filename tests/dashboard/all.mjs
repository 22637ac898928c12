/*
 * all.mjs - the dashboard, as a person sees and uses it: a Chromium, three turnstiles, Redis, a relay.
 *
 * One after the other and in this order, as they share the fleet and a page (stage.mjs).
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { complaints } from './browser.mjs';
import './stage.mjs';
import './page.mjs';
import './request.mjs';
import './history.mjs';
import './outside.mjs';
import './keyboard.mjs';
import './language.mjs';
import './cost.mjs';
import './faults.mjs';
import './looks.mjs';
import './widths.mjs';
import './ends.mjs';

test('no page had anything to complain about', () => {
	assert.deepEqual(complaints, []);
});
