'use strict';
// Node's own fs.cpSync, fs.promises.cp and readdir are the oracle: the same generated inputs for both, then the trees, the
// error codes and the filters' calls are compared.
const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');
const ferry = require('..');
const { isBun, pictureOf, randomNumbers, scratchDirectory } = require('./support.cjs');

const scratch = scratchDirectory();
const outside = path.join(scratch, 'outside');
fs.writeFileSync(outside, 'outside');
fs.utimesSync(outside, 1_600_000_000, 1_600_000_000.125);
const rounds = process.env.FERRY_TEST_LONG ? 3000 : 300;
const names = ['a', 'b', 'c', 'd', 'e'];
const modes = [0o644, 0o600, 0o755, 0o444, 0o666, 0o4755];

// Makes an entry of a random kind. `links`: symlinks, too.
function makeEntry(file, random, depth, links) {
  const kind = random(12);
  if (kind < 3 && depth > 0) {
    fs.mkdirSync(file, { mode: 0o755 });
    names.slice(0, 1 + random(4)).forEach((name) => makeEntry(path.join(file, name), random, depth - 1, links));
    fs.chmodSync(file, [0o755, 0o700, 0o775][random(3)]);
  } else if (kind < 5 && links) {
    fs.symlinkSync(['a', 'b/a', '../c', outside, 'nowhere', '.'][random(6)], file);
  } else if (kind === 5 && random(6) === 0) {
    execFileSync('mkfifo', [file]);
  } else {
    fs.writeFileSync(file, Buffer.alloc([0, 1, 100, 4096, 5000, 300_000][random(6)], random(256)));
    fs.chmodSync(file, modes[random(modes.length)]);
    fs.utimesSync(file, 1_600_000_000 + random(1e6), 1_600_000_000 + random(1e6) + 0.125);
  }
}

// The same inputs below both bases.
function makeInputs(base, seed) {
  const random = randomNumbers(seed);
  fs.mkdirSync(base);
  makeEntry(path.join(base, 'src'), random, 3, true);
  if (random(2) === 0) {
    makeEntry(path.join(base, 'dest'), random, 3, false); // why no links: see the test of copying again
  }
}

function makeOptions(seed, base, calls) {
  const random = randomNumbers(seed * 7 + 1);
  const options = {};
  for (const name of ['recursive', 'force', 'errorOnExist', 'dereference', 'preserveTimestamps', 'verbatimSymlinks']) {
    if (random(name === 'recursive' ? 8 : 3) !== 0) {
      options[name] = name === 'recursive' || random(2) === 0;
    }
  }
  if (options.dereference && options.verbatimSymlinks && random(4) !== 0) {
    options.verbatimSymlinks = false;
  }
  if (random(4) === 0) {
    const refused = names[random(names.length)];
    options.filter = (source, destination) => {
      calls.push([source, destination].map((each) => each.replace(base, 'BASE')).join(' '));
      return path.basename(source) !== refused;
    };
  }
  return options;
}

async function outcomeOf(copy, base, seed) {
  const calls = [];
  const options = makeOptions(seed, base, calls);
  let code = 'success';
  try {
    await copy(path.join(base, 'src'), path.join(base, 'dest'), options);
  } catch (error) {
    code = error.code;
  }
  // What an error leaves of the rest is not promised.
  const picture = code === 'success' ? pictureOf(path.join(base, 'dest'), base, { times: options.preserveTimestamps === true }) : '';
  return { code, calls: code === 'success' ? calls.join('\n') : '', picture };
}

async function compare(oracle, copy, first) {
  const codes = new Map();
  for (let seed = first; seed < first + rounds; seed++) {
    const theirs = path.join(scratch, 'theirs');
    const ours = path.join(scratch, 'ours');
    makeInputs(theirs, seed);
    makeInputs(ours, seed);
    const expected = await outcomeOf(oracle, theirs, seed);
    const actual = await outcomeOf(copy, ours, seed);
    if (['ELOOP', 'ENAMETOOLONG'].includes(expected.code)) {
      // The tree contains itself, or its copy: Node goes on until the name is too long, ferry sees it before.
      assert.ok(['ELOOP', 'ENAMETOOLONG', 'ERR_FS_CP_EINVAL'].includes(actual.code), `seed ${seed}: ${actual.code}`);
    } else {
      assert.deepEqual(actual, expected, `seed ${seed}, options ${JSON.stringify(makeOptions(seed, '', []))}`);
    }
    codes.set(expected.code, (codes.get(expected.code) ?? 0) + 1);
    fs.rmSync(theirs, { recursive: true });
    fs.rmSync(ours, { recursive: true });
  }
  // The generator reaches what is to be compared.
  for (const code of ['success', 'ERR_FS_CP_DIR_TO_NON_DIR', 'ERR_FS_CP_EEXIST', 'ERR_FS_CP_FIFO_PIPE', 'ERR_FS_CP_NON_DIR_TO_DIR']) {
    assert.ok(codes.has(code), `no input gave ${code}: ${[...codes]}`);
  }
}

const skip = isBun ? 'the oracle is Node' : false;

test('cpSync does what fs.cpSync does', { skip }, () => compare(fs.cpSync, ferry.cpSync, 1));

test('cp does what fs.promises.cp does', { skip }, () => compare(fs.promises.cp, ferry.cp, 100_001));

test('atomic copies have the same results', { skip }, () =>
  compare(fs.cpSync, (src, dest, options) => ferry.cpSync(src, dest, { ...options, atomic: true }), 200_001));

test('readdir lists what fs.readdir lists', { skip }, async () => {
  for (let seed = 1; seed <= 60; seed++) {
    const base = path.join(scratch, 'list');
    makeInputs(base, seed);
    const key = (entry) => (entry instanceof fs.Dirent
      ? `${entry.parentPath ?? entry.path} ${entry.name} ${entry.isFile()} ${entry.isDirectory()} ${entry.isSymbolicLink()} ${entry.isFIFO()}`
      : String(entry));
    for (const options of [undefined, 'utf8', 'hex', { recursive: true }, { withFileTypes: true }, { recursive: true, withFileTypes: true }, { encoding: 'buffer' }]) {
      // Without types, Node 20 follows symlinks in a recursive list, and lists a loop forty times over.
      const expected = (options?.recursive && !options.withFileTypes
        ? fs.readdirSync(base, { recursive: true, withFileTypes: true }).map((entry) => path.relative(base, path.join(entry.parentPath ?? entry.path, entry.name)))
        : fs.readdirSync(base, options).map(key)).sort();
      assert.deepEqual(ferry.readdirSync(base, options).map(key).sort(), expected);
      assert.deepEqual((await ferry.readdir(base, options)).map(key).sort(), expected);
    }
    fs.rmSync(base, { recursive: true });
  }
});
