'use strict';
// One contender of `ferry bench node`, in one Node.js or Bun process: each job by ferry and by fs, alternating.
// usage: drop_in.cjs SCRATCH ROUNDS [COPIES]; prints {"job", "unit", "contender", "seconds": [...]} a line each.
const fs = require('node:fs');
const path = require('node:path');
const ferry = require('..');

const [scratch, roundsText, copiesText = '1000'] = process.argv.slice(2);
const rounds = Number(roundsText);
const copies = Number(copiesText);
const runtime = process.versions.bun === undefined ? 'node' : 'bun';

function clear(directory) {
  fs.rmSync(directory, { recursive: true, force: true });
}

// As that of `ferry bench tree`: 5 directories, 9 small files.
function makeSmallTree(root) {
  const files = ['README', 'LICENSE', 'include/api.h', 'include/version.h', 'include/detail/impl.h', 'src/main.c',
    'src/api.c', 'src/tests/test_api.c', 'src/tests/data'];
  files.forEach((file, index) => {
    fs.mkdirSync(path.dirname(path.join(root, file)), { recursive: true });
    fs.writeFileSync(path.join(root, file), 'x'.repeat(8 + 5 * index));
  });
}

// 13 000 files of 1 to 8 KiB in 130 directories.
function makeLargeTree(root) {
  for (let directory = 0; directory < 130; directory++) {
    const parent = path.join(root, `d${directory % 10}`, `e${directory}`);
    fs.mkdirSync(parent, { recursive: true });
    for (let file = 0; file < 100; file++) {
      fs.writeFileSync(path.join(parent, `f${file}`), 'y'.repeat(1024 * (1 + (file % 8))));
    }
  }
}

function time(work) {
  const begin = process.hrtime.bigint();
  work();
  return Number(process.hrtime.bigint() - begin) / 1e9;
}

// Every round runs each contender once, the first one by turns; a round before the first is not counted.
function measure(job, unit, repetitions, contenders, prepare) {
  const seconds = contenders.map(() => []);
  for (let round = -1; round < rounds; round++) {
    for (let turn = 0; turn < contenders.length; turn++) {
      const which = (turn + round + contenders.length) % contenders.length;
      prepare?.();
      const elapsed = time(() => {
        for (let i = 0; i < repetitions; i++) {
          contenders[which].work();
        }
      });
      if (round >= 0) {
        seconds[which].push(elapsed / repetitions);
      }
    }
  }
  contenders.forEach(({ name }, index) => {
    console.log(JSON.stringify({ job, unit, contender: name, seconds: seconds[index] }));
  });
}

const small = path.join(scratch, 'small');
const large = path.join(scratch, 'large');
const target = path.join(scratch, 'target');
makeSmallTree(small);
makeLargeTree(large);

clear(target);
const options = { recursive: true, force: true };
measure('9 files over an existing copy', 'copy', copies, [
  { name: 'ferry cpSync', work: () => ferry.cpSync(small, target, options) },
  { name: 'ferry cpSync, atomic', work: () => ferry.cpSync(small, target, { ...options, atomic: true }) },
  { name: `${runtime} fs.cpSync`, work: () => fs.cpSync(small, target, options) },
]);
measure('13 000 files, fresh', 'copy', 1, [
  { name: 'ferry cpSync', work: () => ferry.cpSync(large, target, options) },
  { name: `${runtime} fs.cpSync`, work: () => fs.cpSync(large, target, options) },
], () => clear(target));
clear(target);
const listing = { recursive: true, withFileTypes: true };
measure('13 000 files listed with types', 'list', 1, [
  { name: 'ferry readdirSync', work: () => ferry.readdirSync(large, listing) },
  { name: `${runtime} fs.readdirSync`, work: () => fs.readdirSync(large, listing) },
]);
