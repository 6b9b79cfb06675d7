'use strict';
const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');
const { Worker } = require('node:worker_threads');
const ferry = require('..');
const { canCollect, collectUntil, scratchDirectory } = require('./support.cjs');

const scratch = scratchDirectory();
const live = () => ferry.nativeMemory().liveBytes;

test('a new buffer holds zeros and is aligned as asked', () => {
  for (const size of [0, 1, 4096, 100_000, 5_000_000n]) {
    for (const make of [ferry.createExternalBuffer, ferry.createManagedBuffer]) {
      const buffer = make(size);
      assert.equal(buffer.length, Number(size));
      assert.ok(buffer.every((byte) => byte === 0));
      buffer.fill(1);
      ferry.releaseBuffer(buffer);
    }
  }
  // Direct I/O is what alignment is for: the kernel refuses other addresses on most file systems.
  assert.equal(ferry.createManagedBuffer(1000, { alignment: 2097152 }).length, 1000);
});

test('memory from the pool is zero again', () => {
  const first = ferry.createManagedBuffer(8192);
  first.fill(0xaa);
  assert.equal(ferry.releaseBuffer(first), true);
  assert.ok(ferry.nativeMemory().pooledBytes >= 8192n);
  assert.ok(ferry.createManagedBuffer(8192).every((byte) => byte === 0));
});

test('a released buffer has no bytes, nor have its views; a second release does nothing', () => {
  const before = live();
  const buffer = ferry.createExternalBuffer(1 << 20);
  const view = new Uint32Array(buffer.buffer, 0, 4);
  assert.equal(live() - before, 1n << 20n);
  assert.equal(ferry.releaseBuffer(buffer), true);
  assert.equal(live(), before);
  assert.equal(buffer.length, 0);
  assert.equal(view.length, 0);
  assert.equal(ferry.releaseBuffer(buffer), false);
  assert.equal(ferry.releaseBuffer(Buffer.from('ours is not')), false);
});

test('buffers that nobody holds are freed', { skip: canCollect ? false : 'needs --expose-gc' }, async () => {
  await collectUntil(() => live() === 0n);
  (() => {
    for (let i = 0; i < 100; i++) {
      ferry.createExternalBuffer(100_000)[1] = 1;
      ferry.createManagedBuffer(100_000)[1] = 1;
    }
    ferry.mapFile(process.execPath);
  })();
  assert.ok(live() > 20_000_000n);
  await collectUntil(() => live() === 0n);
  assert.equal(live(), 0n);
  assert.equal(ferry.nativeMemory().liveBuffers, 0);
});

test('what a worker held is freed when it has ended', async () => {
  const before = live();
  const worker = new Worker(`
    const { parentPort } = require('node:worker_threads');
    const ferry = require(${JSON.stringify(path.join(__dirname, '..'))});
    globalThis.kept = [ferry.createExternalBuffer(1 << 20), ferry.createManagedBuffer(1 << 20), ferry.mapFile(process.execPath)];
    parentPort.postMessage(ferry.nativeMemory().liveBytes);
  `, { eval: true });
  const during = await new Promise((resolve, reject) => worker.on('message', resolve).on('error', reject));
  assert.ok(during - before > 2n << 20n);
  await worker.terminate();
  await collectUntil(() => live() <= before);
  assert.ok(live() <= before, `${live()} bytes are left of ${during}`);
});

test('files are read whole, large ones into native memory', async () => {
  const file = path.join(scratch, 'file');
  for (const size of [0, 1, 65536, 65537, 3_000_000]) {
    const content = Buffer.alloc(size, 'content');
    fs.writeFileSync(file, content);
    const before = ferry.nativeMemory().liveBuffers;
    const bytes = ferry.readFileSync(file);
    assert.ok(bytes.equals(content));
    assert.equal(ferry.nativeMemory().liveBuffers - before, size > 65536 ? 1 : 0);
    ferry.releaseBuffer(bytes);
    assert.ok((await ferry.readFile(file)).equals(content));
    const fd = fs.openSync(file);
    assert.ok(ferry.readSync(fd, 0, size).equals(content));
    assert.ok((await ferry.read(fd, 1n, 70_000n)).equals(content.subarray(1, 70_001)));
    assert.equal(ferry.readSync(fd, size + 10, 10).length, 0);
    fs.closeSync(fd);
  }
  assert.match(ferry.readFileSync('/proc/self/status').toString(), /VmRSS/);
  assert.throws(() => ferry.readFileSync(path.join(scratch, 'nothing')), { code: 'ENOENT', syscall: 'open' });
  await assert.rejects(ferry.readFile(scratch), { code: 'EISDIR' });
});

test('a map shows the file; what is written reaches it only with readWrite', async () => {
  const file = path.join(scratch, 'mapped');
  fs.writeFileSync(file, 'a file in memory');
  const reading = ferry.mapFile(file);
  assert.equal(Buffer.from(reading.buffer).toString(), 'a file in memory');
  new Uint8Array(reading.buffer)[0] = 0x41; // no SIGSEGV, and stays here
  assert.equal(fs.readFileSync(file, 'utf8'), 'a file in memory');
  const writing = ferry.mapFile(file, { mode: 'readWrite' });
  Buffer.from(writing.buffer).write('THE');
  await writing.flush();
  writing.flushSync();
  writing.advise('sequential');
  writing.advise('willNeed', 0, 5);
  assert.throws(() => writing.advise('willNeed', 10, 100), { code: 'ERANGE' });
  assert.equal(fs.readFileSync(file, 'utf8'), 'THEile in memory');
  reading.close();
  writing.close();
});

test('the buffer of a closed map is detached', async () => {
  const file = path.join(scratch, 'closed');
  fs.writeFileSync(file, 'x'.repeat(10_000));
  const before = live();
  const map = ferry.mapFile(file, { mode: 'readWrite' });
  const view = new Uint8Array(map.buffer);
  const flushing = map.flush();
  map.close();
  map.close();
  await flushing; // it kept the map as long as it needed it
  assert.equal(view.length, 0);
  assert.equal(map.byteLength, 0);
  assert.equal(map.closed, true);
  assert.equal(live(), before);
  assert.throws(() => map.flushSync(), { code: 'ERR_FERRY_MAP_CLOSED' });
  await assert.rejects(map.flush(), { code: 'ERR_FERRY_MAP_CLOSED' });
  assert.throws(() => map.advise('normal'), { code: 'ERR_FERRY_MAP_CLOSED' });
});

test('a map whose buffer was transferred is not pulled from under its new owner', () => {
  const file = path.join(scratch, 'transferred');
  fs.writeFileSync(file, 'still here');
  const map = ferry.mapFile(file);
  let moved;
  try {
    moved = structuredClone(map.buffer, { transfer: [map.buffer] });
  } catch (error) {
    assert.equal(error.name, 'DataCloneError'); // Node does not let it go
    moved = map.buffer.slice(0);
  }
  map.close();
  assert.equal(Buffer.from(moved).toString(), 'still here');
});

test('empty files and what cannot be mapped', () => {
  const file = path.join(scratch, 'empty');
  fs.writeFileSync(file, '');
  const map = ferry.mapFile(file);
  assert.equal(map.byteLength, 0);
  map.close();
  assert.throws(() => ferry.mapFile(scratch), { code: 'EISDIR', path: scratch });
  assert.throws(() => ferry.mapFile('/dev/null'), { code: 'ENODEV' });
});

