'use strict';
// Every function with every wrong kind of argument: a TypeError or a RangeError, or an error of the file system where the
// kind is right; never a crash, and never anything done.
const assert = require('node:assert/strict');
const fs = require('node:fs');
const { test } = require('node:test');
const ferry = require('..');
const native = require('../lib/native.cjs');
const { randomNumbers, scratchDirectory } = require('./support.cjs');

const scratch = scratchDirectory();
process.chdir(scratch);

const values = [
  undefined, null, true, false, 0, -1, 1.5, NaN, Infinity, -Infinity, 2 ** 31, 2 ** 53, 1e300, 0n, -1n, 1n << 64n, '', 'nowhere/x',
  'nul\0byte', Symbol('s'), {}, [], [1], () => {}, async () => {}, new Date(NaN), new Error('e'), new Map(), /x/, Buffer.alloc(0),
  Buffer.from('nowhere/y'), new Uint8Array(3), new ArrayBuffer(8), new SharedArrayBuffer(8), new DataView(new ArrayBuffer(4)), Promise.resolve(1),
  new Proxy({}, { get() { throw new TypeError('trap'); } }), Object.create(null), { recursive: 1 }, { filter: 1 }, { mode: 'x' },
  { mode: 9 }, { signal: {} }, { timeout: -1 }, { alignment: 3 }, { encoding: 'none' }, new URL('http://example.invalid/'), new URL('file:///nowhere'),
];

// Kinds of these are right as they are, or have been checked elsewhere.
const fine = new Set(['getCopyChunkSize', 'getCopyStats', 'resetCopyStats', 'nativeMemory']);
const classes = new Set(['AbortError', 'TimeoutError', 'SourceChangedError', 'FuseErrno']);

function isExpected(error) {
  return error instanceof TypeError || error instanceof RangeError || typeof error.code === 'string';
}

async function call(name, args) {
  try {
    let result = ferry[name](...args);
    if (typeof result?.next === 'function') {
      result = result.next();
    }
    await result;
    return true;
  } catch (error) {
    assert.ok(isExpected(error), `${name}: ${error?.stack}`);
    return false;
  }
}

const functions = Object.keys(ferry).filter((name) => typeof ferry[name] === 'function' && !fine.has(name) && !classes.has(name));

test('every function refuses every wrong first argument', async () => {
  assert.ok(functions.length > 25);
  for (const name of functions) {
    for (const value of [undefined, null, true, NaN, Symbol('s'), {}, [], () => {}, new Map()]) {
      if (name === 'releaseBuffer' || typeof ferry[name] !== 'function') {
        continue;
      }
      await assert.rejects(async () => {
        const result = ferry[name](value);
        await (typeof result?.next === 'function' ? result.next() : result);
      }, (error) => error instanceof TypeError || error instanceof RangeError, `${name}(${String(typeof value)})`);
    }
  }
});

test('random arguments never crash, and change nothing', async () => {
  const random = randomNumbers(20260101);
  const rounds = process.env.FERRY_TEST_LONG ? 100_000 : 5000;
  for (let round = 0; round < rounds; round++) {
    const name = functions[random(functions.length)];
    const args = Array.from({ length: random(8) }, () => values[random(values.length)]);
    // Descriptors 0 to 2 are this process's own; sizes that are right would only take memory.
    if (/copyFileRange|^read(Sync)?$|create|setCopyChunkSize/.test(name) && args.some((each) => typeof each === 'number' || typeof each === 'bigint')) {
      args[0] = [undefined, {}, 'text', -1][random(4)];
    }
    await call(name, args);
  }
  assert.deepEqual(fs.readdirSync(scratch), []);
});

test('the addon itself checks what it is given', async () => {
  const random = randomNumbers(7);
  const names = Object.keys(native).filter((name) => typeof native[name] === 'function' && name !== 'resetStats');
  const handles = [native.newStop(), native.createExternal(10n)[1], native.createExternal(10n)[0]];
  const rounds = process.env.FERRY_TEST_LONG ? 200_000 : 10_000;
  for (let round = 0; round < rounds; round++) {
    const name = names[random(names.length)];
    const pool = random(3) === 0 ? handles : values;
    const args = Array.from({ length: random(8) }, () => pool[random(pool.length)]);
    if (/copyRange|^read(Sync)?$|create/.test(name)) {
      args[0] = [undefined, {}, 'text', -1][random(4)];
    }
    try {
      await native[name](...args);
    } catch (error) {
      assert.ok(error instanceof Error || typeof error === 'object', name);
    }
  }
  assert.deepEqual(fs.readdirSync(scratch), []);
  assert.throws(() => native.requestStop(handles[1]), TypeError); // a handle of another kind
  assert.throws(() => native.release(handles[2], handles[0]), TypeError);
});

test('getters and proxies that throw are the error of the call', () => {
  const mine = new TypeError('mine');
  const options = Object.defineProperty({}, 'recursive', { get() { throw mine; } });
  assert.throws(() => ferry.cpSync('a', 'b', options), mine);
});

