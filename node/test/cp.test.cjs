'use strict';
const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const net = require('node:net');
const path = require('node:path');
const { test } = require('node:test');
const ferry = require('..');
const { pictureOf, scratchDirectory } = require('./support.cjs');

const scratch = scratchDirectory();
let count = 0;

function place() {
  const directory = path.join(scratch, `case${count++}`);
  fs.mkdirSync(directory);
  return (name) => path.join(directory, name);
}

function someTree(at) {
  fs.mkdirSync(at('src/inner/empty'), { recursive: true });
  fs.writeFileSync(at('src/file'), 'content');
  fs.writeFileSync(at('src/inner/large'), Buffer.alloc(700_000, 7));
  fs.writeFileSync(at('src/inner/script'), '#!/bin/sh\n', { mode: 0o755 });
  fs.symlinkSync('file', at('src/link'));
}

test('cpSync copies a tree into a place whose parents are missing', () => {
  const at = place();
  someTree(at);
  ferry.cpSync(at('src'), at('a/b/dest'), { recursive: true, verbatimSymlinks: true });
  assert.equal(pictureOf(at('a/b/dest'), at('src')), pictureOf(at('src'), at('src')));
});

test('cp gives the same tree as cpSync', async () => {
  const at = place();
  someTree(at);
  ferry.cpSync(at('src'), at('sync'), { recursive: true });
  await ferry.cp(at('src'), at('async'), { recursive: true });
  assert.equal(pictureOf(at('async'), at('.')), pictureOf(at('sync'), at('.')));
});

test('paths may be Buffers, with any bytes, and URLs', () => {
  const at = place();
  const odd = Buffer.concat([Buffer.from(at('')), Buffer.from([0xff, 0x0a, 0x41])]);
  fs.writeFileSync(odd, 'odd');
  ferry.cpSync(odd, new URL(`file://${at('copy')}`));
  assert.equal(fs.readFileSync(at('copy'), 'utf8'), 'odd');
});

test('files of /proc, whose size is 0, are copied whole', () => {
  const at = place();
  ferry.cpSync('/proc/self/limits', at('limits'));
  assert.match(fs.readFileSync(at('limits'), 'utf8'), /Max open files/);
  ferry.copyFileSync('/proc/self/limits', at('limits2'));
  assert.match(fs.readFileSync(at('limits2'), 'utf8'), /Max open files/);
});

test('a plain file is written in place, so that its name is never missing', () => {
  const at = place();
  fs.writeFileSync(at('from'), 'new');
  fs.writeFileSync(at('to'), 'old and longer', { mode: 0o600 });
  fs.chmodSync(at('from'), 0o4755);
  const before = fs.statSync(at('to')).ino;
  ferry.cpSync(at('from'), at('to'));
  assert.equal(fs.readFileSync(at('to'), 'utf8'), 'new');
  assert.equal(fs.statSync(at('to')).ino, before);
  assert.equal(fs.statSync(at('to')).mode & 0o7777, 0o4755);
});

test('a file with other names, and a symlink, are replaced and not written through', () => {
  const at = place();
  fs.writeFileSync(at('from'), 'new');
  fs.writeFileSync(at('to'), 'old');
  fs.linkSync(at('to'), at('other name'));
  fs.symlinkSync('to', at('link'));
  ferry.cpSync(at('from'), at('link'));
  ferry.cpSync(at('from'), at('to'));
  assert.equal(fs.readFileSync(at('other name'), 'utf8'), 'old');
  assert.equal(fs.readFileSync(at('to'), 'utf8'), 'new');
  assert.ok(fs.lstatSync(at('link')).isFile());
});

test('with atomic an existing file is replaced by a complete new one', () => {
  const at = place();
  fs.writeFileSync(at('from'), 'new');
  fs.writeFileSync(at('to'), 'old');
  const reader = fs.openSync(at('to'));
  ferry.cpSync(at('from'), at('to'), { atomic: true });
  assert.equal(fs.readFileSync(reader, 'utf8'), 'old');
  assert.equal(fs.readFileSync(at('to'), 'utf8'), 'new');
  fs.closeSync(reader);
});

test('sockets and fifos are refused with the codes of Node', async () => {
  const at = place();
  execFileSync('mkfifo', [at('fifo')]);
  assert.throws(() => ferry.cpSync(at('fifo'), at('to')), { code: 'ERR_FS_CP_FIFO_PIPE' });
  const server = net.createServer();
  await new Promise((resolve) => server.listen(at('socket'), resolve));
  assert.throws(() => ferry.cpSync(at('socket'), at('to')), { code: 'ERR_FS_CP_SOCKET' });
  await new Promise((resolve) => server.close(resolve));
});

test('errors have the fields of errors of fs', () => {
  const at = place();
  fs.mkdirSync(at('directory'));
  for (const [work, same] of [
    [() => ferry.cpSync(at('nothing'), at('to')), { code: 'ENOENT', errno: -2, syscall: 'lstat', path: at('nothing') }],
    [() => ferry.copyFileSync(at('nothing'), at('to')),
      { code: 'ENOENT', errno: -2, syscall: 'copyfile', path: at('nothing'), dest: at('to'),
        message: `ENOENT: no such file or directory, copyfile '${at('nothing')}' -> '${at('to')}'` }],
    [() => ferry.copyFileSync(at('directory'), at('to')), { code: 'EISDIR' }],
    [() => ferry.cpSync(at('directory'), at('to')), { name: 'SystemError', code: 'ERR_FS_EISDIR', errno: 21 }],
    [() => ferry.cpSync(at('directory'), at('directory/inside'), { recursive: true }), { code: 'ERR_FS_CP_EINVAL', syscall: 'cp' }],
    [() => ferry.readdirSync(at('nothing')), { code: 'ENOENT', syscall: 'scandir', path: at('nothing') }],
  ]) {
    assert.throws(work, same);
  }
});

test('copying again over a copy with symlinks works, where Node 20 fails', () => {
  const at = place();
  someTree(at);
  fs.symlinkSync('inner', at('src/link to directory'));
  fs.symlinkSync('nowhere', at('src/dangling'));
  for (const round of [1, 2]) {
    ferry.cpSync(at('src'), at('dest'), { recursive: true });
    assert.equal(fs.readlinkSync(at('dest/link')), at('src/file'), `round ${round}`);
    assert.equal(fs.readlinkSync(at('dest/dangling')), at('src/nowhere'));
  }
  assert.deepEqual(fs.readdirSync(at('dest')).filter((name) => name.startsWith('.ferry')), []);
});

test('what a filter throws, or rejects with, is the error of the copy', async () => {
  const at = place();
  someTree(at);
  const mine = new Error('mine');
  assert.throws(() => ferry.cpSync(at('src'), at('to'), { recursive: true, filter() { throw mine; } }), mine);
  await assert.rejects(ferry.cp(at('src'), at('to'), { recursive: true, filter() { throw mine; } }), mine);
  await assert.rejects(ferry.cp(at('src'), at('to'), { recursive: true, filter: () => Promise.reject(mine) }), mine);
  assert.throws(() => ferry.cpSync(at('src'), at('to'), { recursive: true, filter: async () => true }),
    { code: 'ERR_INVALID_RETURN_VALUE' });
});

test('what onProgress and onEvent throw is the error of the copy', async () => {
  const at = place();
  someTree(at);
  const mine = new Error('mine');
  const options = { recursive: true, onProgress() { throw mine; } };
  assert.throws(() => ferry.cpSync(at('src'), at('to'), options), mine);
  assert.throws(() => ferry.cpSync(at('src'), at('to'), { recursive: true, onEvent() { throw mine; } }), mine);
  await assert.rejects(ferry.cp(at('src'), at('to'), { recursive: true, onEvent() { throw mine; } }), mine);
  await assert.rejects(ferry.cp(at('src'), at('to'), options), mine);
  await assert.rejects(ferry.copyFile(at('src/inner/large'), at('large'), options), mine);
});

test('an asynchronous filter may wait for other copies, with many at once', async () => {
  const at = place();
  someTree(at);
  const copies = Array.from({ length: 40 }, (_, index) =>
    ferry.cp(at('src'), at(`to${index}`), {
      recursive: true,
      filter: async (source, destination) => {
        if (!source.endsWith('file')) {
          return true;
        }
        await ferry.copyFile(source, `${destination}.seen`).catch(() => {});
        return false;
      },
    }));
  await Promise.all(copies);
  for (let index = 0; index < 40; index++) {
    assert.ok(fs.existsSync(at(`to${index}/file.seen`)));
    assert.ok(!fs.existsSync(at(`to${index}/file`)));
  }
});

test('the event loop runs while a copy waits for its filter', async () => {
  const at = place();
  someTree(at);
  let ticks = 0;
  const timer = setInterval(() => ticks++, 1);
  await ferry.cp(at('src'), at('to'), {
    recursive: true,
    filter: () => new Promise((resolve) => setTimeout(() => resolve(true), 5)),
  });
  clearInterval(timer);
  assert.ok(ticks >= 3, `${ticks} ticks`);
});

test('a signal aborts a copy with its reason as the cause', async () => {
  const at = place();
  someTree(at);
  const controller = new AbortController();
  const copy = ferry.cp(at('src'), at('to'), {
    recursive: true,
    signal: controller.signal,
    filter: () => new Promise(() => {}), // never answers
  });
  controller.abort('enough');
  await assert.rejects(copy, (error) => error instanceof ferry.AbortError && error.code === 'ABORT_ERR' && error.cause === 'enough');
  await assert.rejects(ferry.cp(at('src'), at('to'), { signal: AbortSignal.abort() }), { name: 'AbortError' });
});

test('a timeout ends a copy with TimeoutError', async () => {
  const at = place();
  someTree(at);
  await assert.rejects(
    ferry.cp(at('src'), at('to'), { recursive: true, timeout: 20, filter: () => new Promise(() => {}) }),
    (error) => error instanceof ferry.TimeoutError && error.code === 'ETIMEDOUT');
});

test('cpEvents tells each entry once, and leaving its loop ends the copy', async () => {
  const at = place();
  someTree(at);
  for (let i = 0; i < 2000; i++) {
    fs.writeFileSync(at(`src/inner/empty/${i}`), '');
  }
  const seen = new Map();
  for await (const event of ferry.cpEvents(at('src'), at('to'), { recursive: true })) {
    assert.ok(!seen.has(event.destination));
    seen.set(event.destination, event);
  }
  assert.equal(seen.size, 2007);
  assert.equal(seen.get(at('to/inner/large')).bytesCopied, 700_000n);
  assert.equal(seen.get(at('to/link')).kind, 'symlink');
  for await (const event of ferry.cpEvents(at('src'), at('left'), { recursive: true })) {
    assert.ok(event.destination);
    break;
  }
  assert.ok(fs.readdirSync(at('left/inner/empty')).length < 2000);
  await assert.rejects(async () => {
    for await (const event of ferry.cpEvents(at('nothing'), at('to'))) assert.fail(event.kind);
  }, { code: 'ENOENT' });
});

test('explain reports what was done, onProgress how far it is', async () => {
  const at = place();
  someTree(at);
  const report = ferry.cpSync(at('src'), at('to'), { recursive: true, explain: true, verify: true });
  assert.equal(report.files, 3);
  assert.equal(report.directories, 3);
  assert.equal(report.symlinks, 1);
  assert.equal(report.bytesCopied, 700_017n);
  assert.equal(report.verified, true);
  assert.equal(Object.values(report.bytesByMethod).reduce((sum, bytes) => sum + bytes), 700_017n);
  let last = 0n;
  ferry.cpSync(at('src'), at('to2'), { recursive: true, onProgress({ bytesDone }) { assert.ok(bytesDone >= last); last = bytesDone; } });
  assert.equal(last, 700_017n);
  assert.equal((await ferry.copyFile(at('src/file'), at('file'), { explain: true })).size, 7n);
});

test('a source that grows while it is copied is told', async () => {
  const at = place();
  fs.writeFileSync(at('growing'), Buffer.alloc(1 << 20));
  let grown = false;
  const grow = () => {
    if (!grown) {
      fs.appendFileSync(at('growing'), 'more');
      grown = true;
    }
  };
  assert.throws(() => ferry.cpSync(at('growing'), at('to'), { onProgress: grow }),
    (error) => error instanceof ferry.SourceChangedError && error.paths[0] === at('growing'));
  assert.ok(fs.statSync(at('to')).size >= 1 << 20); // it was copied all the same
});

test('copyFile keeps to modes: COPYFILE_EXCL refuses what is there, and a failed copy leaves nothing', async () => {
  const at = place();
  fs.writeFileSync(at('from'), 'from');
  fs.writeFileSync(at('to'), 'to');
  assert.throws(() => ferry.copyFileSync(at('from'), at('to'), fs.constants.COPYFILE_EXCL), { code: 'EEXIST' });
  await assert.rejects(ferry.copyFile(at('from'), at('to'), { mode: fs.constants.COPYFILE_EXCL, atomic: true }), { code: 'EEXIST' });
  assert.equal(fs.readFileSync(at('to'), 'utf8'), 'to');
  assert.throws(() => ferry.copyFileSync(at('from'), at('new'), { reflink: 'always' })); // tmpfs cannot
  assert.ok(!fs.existsSync(at('new')));
});

test('a path that is too long is an error, not a crash', () => {
  const at = place();
  const deep = at('deep');
  // Deeper than PATH_MAX, made step by step.
  execFileSync('sh', ['-c', 'mkdir "$0" && cd "$0" && for i in $(seq 30); do mkdir "$1" && cd -P "$1" || exit; done', deep, 'd'.repeat(200)]);
  assert.throws(() => ferry.cpSync(deep, at('to'), { recursive: true }), { code: 'ENAMETOOLONG' });
  execFileSync('rm', ['-rf', deep]);
});

// More files than one thread copies alone (src/cp_tree.cpp).
function largeTree(at) {
  for (let directory = 0; directory < 40; directory++) {
    fs.mkdirSync(at(`src/d${directory % 7}/e${directory}`), { recursive: true });
    for (let file = 0; file < 25; file++) {
      fs.writeFileSync(at(`src/d${directory % 7}/e${directory}/f${file}`), `${directory} ${file} `.repeat(file), { mode: file % 2 === 0 ? 0o644 : 0o755 });
    }
    fs.symlinkSync(`f${directory % 25}`, at(`src/d${directory % 7}/e${directory}/link`));
  }
  return 1000;
}

for (const atomic of [false, true]) {
  test(`large trees are copied whole by several threads, and again over the copy${atomic ? ', atomic' : ''}`, () => {
    const at = place();
    const files = largeTree(at);
    // Whose mode forbids to create files, which only others than root are held to.
    fs.chmodSync(at('src/d3/e3'), 0o555);
    const options = { recursive: true, verbatimSymlinks: true, preserveTimestamps: true, explain: true, atomic };
    for (let round = 0; round < 3; round++) {
      const report = ferry.cpSync(at('src'), at('to'), options);
      assert.equal(report.files, files);
      assert.equal(report.directories, 48);
      assert.equal(report.symlinks, 40);
      assert.equal(report.bytesCopied, report.size);
      assert.equal(pictureOf(at('to'), at('to'), { times: true }), pictureOf(at('src'), at('src'), { times: true }));
      fs.writeFileSync(at('to/d2/e2/f7'), 'something else, which must go');
    }
    fs.chmodSync(at('src/d3/e3'), 0o755);
  });
}

test('the first failure in a large tree ends the copy, with its names, and no thread is left', async () => {
  const at = place();
  largeTree(at);
  const threads = () => fs.readdirSync('/proc/self/task').length;
  fs.mkdirSync(at('to/d5/e5/f9'), { recursive: true });
  await ferry.cp(at('src/d1'), at('first'), { recursive: true }); // starts the runtime's and the pool's threads
  const before = threads();
  const wrong = { code: 'ERR_FS_CP_NON_DIR_TO_DIR', path: at('to/d5/e5/f9') };
  assert.throws(() => ferry.cpSync(at('src'), at('to'), { recursive: true }), wrong);
  await assert.rejects(ferry.cp(at('src'), at('to'), { recursive: true }), wrong);
  assert.ok(threads() <= before + 1, `${threads()} threads, ${before} before`);
});

test('a large tree can be aborted, and filters are asked of each entry of it', async () => {
  const at = place();
  const files = largeTree(at);
  await assert.rejects(ferry.cp(at('src'), at('aborted'), { recursive: true, signal: AbortSignal.abort() }), { name: 'AbortError' });
  let asked = 0;
  ferry.cpSync(at('src'), at('filtered'), { recursive: true, filter: () => ++asked > 0 });
  assert.equal(asked, files + 48 + 40);
});

test('lists of large trees have each entry once, with its parent and type', () => {
  const at = place();
  largeTree(at);
  const names = (entries) => entries.map((entry) => `${entry.parentPath ?? entry.path}/${entry.name} ${entry.isFile()} ${entry.isSymbolicLink()}`).sort();
  for (let round = 0; round < 5; round++) {
    const options = { recursive: true, withFileTypes: true };
    assert.deepEqual(names(ferry.readdirSync(at('src'), options)), names(fs.readdirSync(at('src'), options)));
    assert.deepEqual(ferry.readdirSync(at('src'), { recursive: true }).sort(), fs.readdirSync(at('src'), { recursive: true }).sort());
  }
});
