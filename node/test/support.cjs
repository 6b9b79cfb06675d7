'use strict';
// What the tests share: scratch directories, random numbers that are the same every time, pictures of trees.
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { after } = require('node:test');

const isBun = process.versions.bun !== undefined;

/** A directory that is removed when the file's tests have ended; on tmpfs where there is one. */
function scratchDirectory() {
  const parent = fs.existsSync('/dev/shm') ? '/dev/shm' : os.tmpdir();
  const directory = fs.mkdtempSync(path.join(parent, 'ferry-node-'));
  after(() => fs.rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** Numbers from 0 to below `limit`, by a seed (mulberry32). */
function randomNumbers(seed) {
  let state = seed >>> 0;
  return (limit) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % limit;
  };
}

/** Everything below `root` that a copy has to get right, as text. Paths inside `base` are shown relative to it. */
function pictureOf(root, base, { times = false } = {}) {
  const lines = [];
  const visit = (file, name) => {
    const status = fs.lstatSync(file, { throwIfNoEntry: false });
    if (status === undefined) {
      lines.push(`${name} missing`);
      return;
    }
    const mode = (status.mode & 0o7777).toString(8);
    if (status.isSymbolicLink()) {
      lines.push(`${name} -> ${fs.readlinkSync(file).replaceAll(base, 'BASE')}`);
    } else if (status.isDirectory()) {
      lines.push(`${name}/ ${mode}`);
      fs.readdirSync(file).sort().forEach((each) => visit(path.join(file, each), `${name}/${each}`));
    } else if (status.isFile()) {
      const content = fs.readFileSync(file).toString('base64').slice(0, 60);
      const time = times ? ` ${Math.floor(status.mtimeMs)}` : '';
      lines.push(`${name} ${mode} ${status.size} ${content}${time}`);
    } else {
      lines.push(`${name} other ${mode}`);
    }
  };
  visit(root, '.');
  return lines.join('\n');
}

/** Collects garbage until the condition holds, or for a few seconds. */
async function collectUntil(condition) {
  const collect = isBun ? () => Bun.gc(true) : global.gc;
  for (let i = 0; i < 200 && !condition(); i++) {
    collect();
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

const canCollect = isBun || typeof global.gc === 'function';

module.exports = { canCollect, collectUntil, isBun, pictureOf, randomNumbers, scratchDirectory };
