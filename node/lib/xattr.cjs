'use strict';
// Extended attributes: xattr(7).
const native = require('./native.cjs');
const { invalidType, unwrap } = require('./errors.cjs');
const { toBoolean, toObject, toPath } = require('./arguments.cjs');

const noFollow = 1 << 0;
const create = 1 << 1;
const replace = 1 << 2;

function toName(value) {
  if (typeof value !== 'string') {
    throw invalidType('name', 'of type string', value);
  }
  return toPath(value, 'name');
}

function toValue(value) {
  if (typeof value === 'string') {
    return Buffer.from(value);
  }
  if (!(value instanceof Uint8Array)) {
    throw invalidType('value', 'of type string or an instance of Buffer', value);
  }
  return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
}

function followFlag(options) {
  return toBoolean(options.followSymlinks, 'options.followSymlinks', true) ? 0 : noFollow;
}

function getArguments(path, name, options) {
  return [toPath(path, 'path'), toName(name), followFlag(toObject(options))];
}

function setArguments(path, name, value, options) {
  const given = toObject(options);
  const how =
    followFlag(given) |
    (toBoolean(given.create, 'options.create', false) ? create : 0) |
    (toBoolean(given.replace, 'options.replace', false) ? replace : 0);
  return [toPath(path, 'path'), toName(name), toValue(value), how];
}

function listArguments(path, options) {
  return [toPath(path, 'path'), followFlag(toObject(options))];
}

function names(bytes) {
  return unwrap(bytes).toString().split('\0').slice(0, -1);
}

module.exports = {
  getxattr: async (path, name, options) => unwrap(await native.getxattr(...getArguments(path, name, options))),
  getxattrSync: (path, name, options) => unwrap(native.getxattrSync(...getArguments(path, name, options))),
  setxattr: async (path, name, value, options) => {
    unwrap(await native.setxattr(...setArguments(path, name, value, options)));
  },
  setxattrSync: (path, name, value, options) => {
    unwrap(native.setxattrSync(...setArguments(path, name, value, options)));
  },
  listxattr: async (path, options) => names(await native.listxattr(...listArguments(path, options))),
  listxattrSync: (path, options) => names(native.listxattrSync(...listArguments(path, options))),
  removexattr: async (path, name, options) => {
    unwrap(await native.removexattr(...getArguments(path, name, options)));
  },
  removexattrSync: (path, name, options) => {
    unwrap(native.removexattrSync(...getArguments(path, name, options)));
  },
};
