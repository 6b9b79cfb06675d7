'use strict';
// Checks of what programs pass, in Node's words.
const { fileURLToPath } = require('node:url');
const { invalidType, invalidValue, outOfRange } = require('./errors.cjs');

const most = 2n ** 63n - 1n;

/** A path as the addon takes it: a string or a Buffer. */
function toPath(value, name) {
  if (typeof value === 'string') {
    if (value.includes('\0')) {
      throw invalidValue(name, 'a string, Uint8Array, or URL without null bytes', value);
    }
    return value;
  }
  if (value instanceof URL) {
    return toPath(fileURLToPath(value), name);
  }
  if (value instanceof Uint8Array) {
    if (value.includes(0)) {
      throw invalidValue(name, 'a string, Uint8Array, or URL without null bytes', value);
    }
    return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  }
  throw invalidType(name, 'of type string or an instance of Buffer or URL', value);
}

function toObject(value, name = 'options') {
  if (value === undefined) {
    return {};
  }
  if (value === null || typeof value !== 'object' || Array.isArray(value)) {
    throw invalidType(name, 'of type object', value);
  }
  return value;
}

function toBoolean(value, name, fallback) {
  if (value === undefined) {
    return fallback;
  }
  if (typeof value !== 'boolean') {
    throw invalidType(name, 'of type boolean', value);
  }
  return value;
}

function toFunction(value, name) {
  if (value !== undefined && typeof value !== 'function') {
    throw invalidType(name, 'of type function', value);
  }
  return value;
}

function toInteger(value, name, least, greatest) {
  if (typeof value !== 'number') {
    throw invalidType(name, 'of type number', value);
  }
  if (!Number.isInteger(value) || value < least || value > greatest) {
    throw outOfRange(name, `an integer >= ${least} && <= ${greatest}`, value);
  }
  return value;
}

function toDescriptor(value, name) {
  return toInteger(value, name, 0, 2147483647);
}

/** Bytes, given as a number or a BigInt, as a BigInt. */
function toBytes(value, name, greatest = most) {
  if (typeof value === 'number') {
    if (!Number.isSafeInteger(value)) {
      throw outOfRange(name, 'a safe integer (larger ones as BigInt)', value);
    }
    return toBytes(BigInt(value), name, greatest);
  }
  if (typeof value !== 'bigint') {
    throw invalidType(name, 'of type number or bigint', value);
  }
  if (value < 0n || value > greatest) {
    throw outOfRange(name, `>= 0 && <= ${greatest}`, value);
  }
  return value;
}

function toChoice(value, name, choices) {
  if (value === undefined) {
    return choices[0];
  }
  if (typeof value !== 'string') {
    throw invalidType(name, 'of type string', value);
  }
  if (!choices.includes(value)) {
    throw invalidValue(name, `one of: ${choices.map((each) => `'${each}'`).join(', ')}`, value);
  }
  return value;
}

module.exports = { toBoolean, toBytes, toChoice, toDescriptor, toFunction, toInteger, toObject, toPath };
