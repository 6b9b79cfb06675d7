// Copies a tree with a progress bar; Ctrl-C stops it: node progress.mjs FROM TO
import { lstatSync } from 'node:fs';
import path from 'node:path';
import { AbortError, cp, readdirSync } from 'ferry-native';

const [from, to] = process.argv.slice(2);
if (from === undefined || to === undefined) {
  console.error('usage: node progress.mjs FROM TO');
  process.exit(2);
}

function sizeOf(root) {
  const status = lstatSync(root);
  if (!status.isDirectory()) {
    return status.size;
  }
  return readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, entry) => sum + lstatSync(path.join(entry.parentPath, entry.name)).size, 0);
}

const total = Math.max(sizeOf(from), 1);
const width = 40;

function draw(bytesDone) {
  const share = Math.min(Number(bytesDone) / total, 1);
  const bar = '#'.repeat(Math.round(share * width)).padEnd(width, '.');
  process.stderr.write(`\r[${bar}] ${(share * 100).toFixed(0)}%`);
}

const interruption = new AbortController();
process.once('SIGINT', () => interruption.abort());
try {
  await cp(from, to, { recursive: true, signal: interruption.signal, onProgress: ({ bytesDone }) => draw(bytesDone) });
  draw(total);
  process.stderr.write('\n');
} catch (error) {
  process.stderr.write(`\n${error instanceof AbortError ? 'interrupted' : error.message}\n`);
  process.exitCode = 1;
}
