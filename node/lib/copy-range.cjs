'use strict';
// copyFileRange, its chunk size and its statistics.
const native = require('./native.cjs');
const { cancellable, toCancellation } = require('./cancel.cjs');
const { invalidType, outOfRange, unwrap } = require('./errors.cjs');
const { toBytes, toDescriptor, toObject } = require('./arguments.cjs');

const leastChunk = 65536n;
const mostChunk = 67108864n;

// The addon's arguments, and whether the program counts in BigInts.
function rangeArguments(fdIn, offsetIn, fdOut, offsetOut, length, flags) {
  toDescriptor(fdIn, 'fdIn');
  toDescriptor(fdOut, 'fdOut');
  const big = typeof length === 'bigint';
  const kind = typeof length;
  for (const [name, value] of [['offsetIn', offsetIn], ['offsetOut', offsetOut]]) {
    if ((typeof value === 'bigint' || typeof value === 'number') && (kind === 'bigint' || kind === 'number') && typeof value !== kind) {
      throw invalidType(name, `of type ${kind}, as length is: numbers and BigInts cannot be mixed`, value);
    }
  }
  if (flags !== undefined && flags !== 0 && flags !== 0n) {
    if (typeof flags !== 'number' && typeof flags !== 'bigint') {
      throw invalidType('flags', 'of type number', flags);
    }
    throw outOfRange('flags', '0: copy_file_range(2) knows none', flags);
  }
  return { big, range: [fdIn, toBytes(offsetIn, 'offsetIn'), fdOut, toBytes(offsetOut, 'offsetOut'), toBytes(length, 'length')] };
}

function copyFileRangeSync(fdIn, offsetIn, fdOut, offsetOut, length, flags) {
  const { big, range } = rangeArguments(fdIn, offsetIn, fdOut, offsetOut, length, flags);
  const copied = unwrap(native.copyRangeSync(...range));
  return big ? copied : Number(copied);
}

async function copyFileRange(fdIn, offsetIn, fdOut, offsetOut, length, flags, options) {
  const { big, range } = rangeArguments(fdIn, offsetIn, fdOut, offsetOut, length, flags);
  const cancellation = toCancellation(toObject(options));
  const copied = unwrap(await cancellable(cancellation, (stop) => native.copyRange(...range, stop)));
  return big ? copied : Number(copied);
}

function setCopyChunkSize(bytes) {
  const size = toBytes(bytes, 'bytes');
  if (size < leastChunk || size > mostChunk) {
    throw outOfRange('bytes', `>= ${leastChunk} && <= ${mostChunk}`, bytes);
  }
  native.setChunkSize(size);
}

module.exports = {
  copyFileRange,
  copyFileRangeSync,
  getCopyChunkSize: () => native.getChunkSize(),
  getCopyStats: () => native.getStats(),
  resetCopyStats: () => native.resetStats(),
  setCopyChunkSize,
};
