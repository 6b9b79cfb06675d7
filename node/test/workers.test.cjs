'use strict';
const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');
const { Worker } = require('node:worker_threads');
const { isBun, scratchDirectory } = require('./support.cjs');

const scratch = scratchDirectory();
const source = path.join(scratch, 'source');
fs.mkdirSync(source);
for (let i = 0; i < 300; i++) {
  fs.writeFileSync(path.join(source, `${i}`), `content ${i}`);
}
const ferry = JSON.stringify(path.join(__dirname, '..'));

function run(script, workerData) {
  const worker = new Worker(`const ferry = require(${ferry}); const { workerData, parentPort } = require('node:worker_threads');\n${script}`,
    { eval: true, workerData });
  return { worker, exit: new Promise((resolve, reject) => worker.on('exit', resolve).on('error', reject)) };
}

test('workers copy at the same time', async () => {
  const targets = [1, 2, 3, 4].map((index) => path.join(scratch, `worker${index}`));
  await Promise.all(targets.map((target) => run(`
    const [source, target] = workerData;
    ferry.cpSync(source, target + 's', { recursive: true });
    ferry.cp(source, target, { recursive: true, filter: async () => true });
  `, [source, target]).exit));
  for (const target of targets) {
    assert.equal(fs.readdirSync(target).length, 300);
    assert.equal(fs.readdirSync(`${target}s`).length, 300);
  }
});

test('a worker that is terminated while it copies, or waits for a filter, ends', async () => {
  const started = (worker) => new Promise((resolve) => worker.once('message', resolve));
  const rounds = process.env.FERRY_TEST_LONG ? 200 : 20;
  for (let i = 0; i < rounds; i++) {
    const waiting = run(`
      const [source, target] = workerData;
      for (let i = 0; i < 4; i++) ferry.cp(source, target + i, { recursive: true, filter: () => new Promise(() => {}) });
      for (let i = 0; i < 4; i++) ferry.cp(source, target + 'c' + i, { recursive: true, onEvent() {}, onProgress() {} });
      const fs = require('node:fs');
      ferry.copyFileRange(fs.openSync('/dev/zero'), 0n, fs.openSync('/dev/null', 'w'), 0n, 1n << 60n);
      parentPort.postMessage('started');
    `, [source, path.join(scratch, `terminated${i}-`)]);
    await started(waiting.worker);
    await new Promise((resolve) => setTimeout(resolve, i % 10)); // in the middle of calls of the callbacks
    await waiting.worker.terminate();
  }
});

test('a worker that is terminated while it copies at once, with callbacks, ends', async () => {
  for (let i = 0; i < 10; i++) {
    const copying = run(`
      const [source, target] = workerData;
      parentPort.postMessage('started');
      for (;;) ferry.cpSync(source, target, { recursive: true, filter: () => true, onEvent() {}, onProgress() {} });
    `, [source, path.join(scratch, 'at once')]);
    await new Promise((resolve) => copying.worker.once('message', resolve));
    await new Promise((resolve) => setTimeout(resolve, i));
    await copying.worker.terminate();
  }
});

test('a process exits while copies run', () => {
  for (const end of ['process.exit(7)', 'setTimeout(() => process.exit(7), 5)']) {
    const child = spawnSync(process.execPath, ['-e', `
      const ferry = require(${ferry});
      const fs = require('node:fs');
      ferry.copyFileRange(fs.openSync('/dev/zero'), 0n, fs.openSync('/dev/null', 'w'), 0n, 1n << 60n);
      ferry.cp(${JSON.stringify(source)}, ${JSON.stringify(path.join(scratch, 'exit'))}, { recursive: true, filter: () => new Promise(() => {}) });
      globalThis.kept = ferry.createExternalBuffer(1 << 20);
      ${end};
    `], { timeout: 60_000 });
    assert.equal(child.status, 7, String(child.stderr));
  }
});

test('a process ends by itself when its copies are done', () => {
  const child = spawnSync(process.execPath, ['-e', `
    const ferry = require(${ferry});
    ferry.cp(${JSON.stringify(source)}, ${JSON.stringify(path.join(scratch, 'done'))}, { recursive: true }).then(() => console.log('copied'));
  `], { timeout: 60_000 });
  assert.equal(String(child.stdout), 'copied\n', String(child.stderr));
  assert.equal(child.status, 0);
});

test('both kinds of modules are one', { skip: isBun ? 'one runtime is enough' : false }, async () => {
  const module = await import(path.join(__dirname, '..', 'lib', 'index.mjs'));
  const common = require('..');
  assert.deepEqual(Object.keys(module).filter((name) => name !== 'default').sort(), Object.keys(common).sort());
  assert.equal(module.cpSync, common.cpSync);
});
