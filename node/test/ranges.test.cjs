'use strict';
const assert = require('node:assert/strict');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { test } = require('node:test');
const ferry = require('..');
const { scratchDirectory } = require('./support.cjs');

const scratch = scratchDirectory();

function openPair(content) {
  const name = path.join(scratch, `pair${openPair.count = (openPair.count ?? 0) + 1}`);
  fs.writeFileSync(`${name}.in`, content);
  const files = { in: fs.openSync(`${name}.in`, 'r'), out: fs.openSync(`${name}.out`, 'w+'), outName: `${name}.out` };
  return files;
}

test('a range is copied; numbers give a number, BigInts a BigInt', async () => {
  const pair = openPair('0123456789');
  assert.equal(ferry.copyFileRangeSync(pair.in, 2, pair.out, 0, 3), 3);
  assert.equal(await ferry.copyFileRange(pair.in, 5n, pair.out, 3n, 100n), 5n);
  assert.equal(fs.readFileSync(pair.outName, 'utf8'), '23456789');
  assert.equal(await ferry.copyFileRange(pair.in, 50, pair.out, 0, 1, 0), 0);
});

test('numbers and BigInts are not mixed, and have to be in range', async () => {
  const pair = openPair('0123456789');
  for (const [args, error] of [
    [[pair.in, 0n, pair.out, 0, 1], TypeError],
    [[pair.in, 0, pair.out, 0, 1n], TypeError],
    [[pair.in, 0, pair.out, 0, '1'], TypeError],
    [[pair.in, null, pair.out, 0, 1], TypeError],
    [[pair.in, -1, pair.out, 0, 1], RangeError],
    [[pair.in, 0.5, pair.out, 0, 1], RangeError],
    [[pair.in, 0, pair.out, 0, 2 ** 60], RangeError],
    [[pair.in, 0n, pair.out, 0n, 1n << 63n], RangeError],
    [[pair.in, 0n, pair.out, -1n, 1n], RangeError],
    [[pair.in, 0n, pair.out, 0n, 1n, 1], RangeError],
    [[pair.in, 0n, pair.out, 0n, 1n, 'none'], TypeError],
    [[-1, 0n, pair.out, 0n, 1n], RangeError],
    [['0', 0n, pair.out, 0n, 1n], TypeError],
  ]) {
    assert.throws(() => ferry.copyFileRangeSync(...args), error);
    await assert.rejects(ferry.copyFileRange(...args), error);
  }
  assert.throws(() => ferry.copyFileRangeSync(pair.in, 0, fs.openSync(pair.outName), 0, 1), { code: 'EBADF', syscall: 'copy_file_range' });
  await assert.rejects(ferry.copyFileRange(pair.in, 1n, pair.out, (1n << 63n) - 1n, 5n), { code: 'EINVAL' });
});

test('a signal and a timeout end the copy of a range', async () => {
  const pair = openPair('x');
  await assert.rejects(ferry.copyFileRange(pair.in, 0n, pair.out, 0n, 1n, 0, { signal: AbortSignal.abort('why') }),
    (error) => error instanceof ferry.AbortError && error.cause === 'why');
  // From a source without an end.
  const endless = fs.openSync('/dev/zero');
  const nowhere = fs.openSync('/dev/null', 'w');
  const controller = new AbortController();
  const copy = ferry.copyFileRange(endless, 0n, nowhere, 0n, 1n << 60n, 0, { signal: controller.signal });
  setTimeout(() => controller.abort(), 20);
  await assert.rejects(copy, { name: 'AbortError' });
  await assert.rejects(ferry.copyFileRange(endless, 0n, nowhere, 0n, 1n << 60n, 0, { timeout: 20 }), { name: 'TimeoutError' });
  await assert.rejects(ferry.copyFileRange(endless, 0n, nowhere, 0n, 1n, 0, { timeout: 'soon' }), TypeError);
});

test('the chunk size is checked', () => {
  assert.equal(ferry.getCopyChunkSize(), 4194304n);
  for (const wrong of [65535, 65535n, 67108865, 0, -1]) {
    assert.throws(() => ferry.setCopyChunkSize(wrong), RangeError);
  }
  assert.throws(() => ferry.setCopyChunkSize('65536'), TypeError);
  assert.equal(ferry.getCopyChunkSize(), 4194304n);
  ferry.setCopyChunkSize(65536);
  assert.equal(ferry.getCopyChunkSize(), 65536n);
  ferry.setCopyChunkSize(67108864n);
  assert.equal(ferry.getCopyChunkSize(), 67108864n);
  ferry.setCopyChunkSize(4194304n);
});

test('statistics count what is copied', () => {
  const pair = openPair('x'.repeat(1000));
  ferry.resetCopyStats();
  ferry.copyFileRangeSync(pair.in, 0, pair.out, 0, 1000);
  const stats = ferry.getCopyStats();
  assert.equal(stats.totalBytesCopied, 1000n);
  assert.ok(stats.totalOperations >= 1n);
  assert.equal(typeof stats.kernelCopySupported, 'boolean');
  assert.equal(Object.values(stats.methods).reduce((sum, method) => sum + method.bytes, 0n), 1000n);
  ferry.resetCopyStats();
  assert.equal(ferry.getCopyStats().totalOperations, 0n);
});

test('extended attributes are set, read, listed and removed', async (t) => {
  const file = path.join(scratch, 'attributes');
  fs.writeFileSync(file, '');
  try {
    ferry.setxattrSync(file, 'user.one', 'first');
  } catch (error) {
    if (error.code === 'EOPNOTSUPP' || error.code === 'ENOTSUP') {
      t.skip(`no extended attributes in ${scratch}`);
      return;
    }
    throw error;
  }
  await ferry.setxattr(file, 'user.two', Buffer.from([0, 255, 1]));
  assert.deepEqual(ferry.listxattrSync(file).filter((name) => name.startsWith('user.')).sort(), ['user.one', 'user.two']);
  assert.equal((await ferry.getxattr(file, 'user.one')).toString(), 'first');
  assert.deepEqual([...ferry.getxattrSync(file, 'user.two')], [0, 255, 1]);
  assert.throws(() => ferry.setxattrSync(file, 'user.one', '', { create: true }), { code: 'EEXIST' });
  await assert.rejects(ferry.setxattr(file, 'user.three', '', { replace: true }), { code: 'ENODATA' });
  ferry.removexattrSync(file, 'user.one');
  await ferry.removexattr(file, 'user.two');
  assert.deepEqual((await ferry.listxattr(file)).filter((name) => name.startsWith('user.')), []);
  await assert.rejects(ferry.removexattr(file, 'user.two'), { code: 'ENODATA', syscall: 'removexattr', path: file });
  fs.symlinkSync('attributes', `${file}.link`);
  assert.throws(() => ferry.setxattrSync(`${file}.link`, 'user.x', '', { followSymlinks: false }), { code: 'EPERM' });
});

test('times keep their nanoseconds, also before 1970', () => {
  for (const [nanoseconds, seconds, rest, text] of [
    [0n, 0n, 0, '1970-01-01T00:00:00.000000000Z'],
    [1n, 0n, 1, '1970-01-01T00:00:00.000000001Z'],
    [-1n, -1n, 999999999, '1969-12-31T23:59:59.999999999Z'],
    [1_767_225_600_123_456_789n, 1_767_225_600n, 123456789, '2026-01-01T00:00:00.123456789Z'],
  ]) {
    assert.deepEqual(ferry.timespecFromNanoseconds(nanoseconds), { seconds, nanoseconds: rest });
    assert.equal(ferry.nanosecondsFromTimespec({ seconds, nanoseconds: rest }), nanoseconds);
    assert.equal(ferry.stringFromNanoseconds(nanoseconds), text);
    assert.equal(ferry.nanosecondsFromString(text), nanoseconds);
    assert.equal(ferry.dateFromNanoseconds(nanoseconds).getTime(), Number(seconds) * 1000 + Math.floor(rest / 1e6));
  }
  assert.equal(ferry.nanosecondsFromDate(new Date(1234)), 1_234_000_000n);
  assert.equal(ferry.nanosecondsFromString('2026-01-01T00:00:00.5Z') % 1_000_000_000n, 500_000_000n);
  for (const wrong of ['2026-02-31T00:00:00Z', '2026-01-01', '2026-01-01T00:00:00.0000000001Z', 'now', '']) {
    assert.throws(() => ferry.nanosecondsFromString(wrong), TypeError);
  }
  assert.throws(() => ferry.nanosecondsFromDate(new Date(NaN)), RangeError);
  assert.throws(() => ferry.dateFromNanoseconds(10n ** 30n), RangeError);
  assert.throws(() => ferry.nanosecondsFromTimespec({ seconds: 0n, nanoseconds: 1e9 }), RangeError);
});

test('FuseErrno is made of names and numbers', () => {
  const error = new ferry.FuseErrno('ENOENT');
  assert.equal(error.errno, -os.constants.errno.ENOENT);
  assert.equal(error.message, 'ENOENT: no such file or directory');
  assert.equal(new ferry.FuseErrno(13).code, 'EACCES');
  assert.throws(() => new ferry.FuseErrno('ENOTHING'), RangeError);
  assert.throws(() => new ferry.FuseErrno(0), RangeError);
  assert.throws(() => new ferry.FuseErrno({}), TypeError);
});
