'use strict';
// Errors as Node's fs makes them, and ferry's own.
const { inspect, getSystemErrorMap } = require('node:util');
const { constants } = require('node:os');

// Node's words for each of its codes.
const systemErrors = {
  ERR_FS_CP_DIR_TO_NON_DIR: 'Cannot overwrite non-directory with directory',
  ERR_FS_CP_EEXIST: 'Target already exists',
  ERR_FS_CP_EINVAL: 'Invalid src or dest',
  ERR_FS_CP_FIFO_PIPE: 'Cannot copy a FIFO pipe',
  ERR_FS_CP_NON_DIR_TO_DIR: 'Cannot overwrite directory with non-directory',
  ERR_FS_CP_SOCKET: 'Cannot copy a socket file',
  ERR_FS_CP_SYMLINK_TO_SUBDIRECTORY: 'Cannot overwrite symlink in subdirectory of self',
  ERR_FS_CP_UNKNOWN: 'Cannot copy an unknown file type',
  ERR_FS_EISDIR: 'Path is a directory',
};

const errnoNames = new Map(Object.entries(constants.errno).map(([name, value]) => [value, name]));

/** "ENOENT" of 2; "E4095" of what has no name. */
function errnoName(errno) {
  return errnoNames.get(errno) ?? `E${errno}`;
}

function errnoMessage(errno) {
  return getSystemErrorMap?.().get(-errno)?.[1] ?? 'unknown error';
}

// The addon's `{failed: true, ...}` as an Error.
function errorOf(failure) {
  const code = errnoName(failure.errno);
  if (failure.code !== '') {
    const { message, path, syscall, errno } = failure;
    const error = new Error(`${systemErrors[failure.code]}: ${syscall} returned ${code} (${message}) ${path}`);
    error.name = 'SystemError';
    return Object.assign(error, { code: failure.code, info: { message, path, syscall, errno, code }, errno, syscall, path });
  }
  let message = `${code}: ${errnoMessage(failure.errno)}, ${failure.syscall}`;
  const fields = { errno: -failure.errno, code, syscall: failure.syscall };
  if (failure.path !== undefined) {
    message += ` '${failure.path}'`;
    fields.path = failure.path;
  }
  if (failure.dest !== undefined) {
    message += ` -> '${failure.dest}'`;
    fields.dest = failure.dest;
  }
  return Object.assign(new Error(message), fields);
}

/** Throws the error if the addon reports a failure; else returns the value. */
function unwrap(value) {
  if (value !== undefined && value.failed === true) {
    throw errorOf(value);
  }
  return value;
}

class AbortError extends Error {
  constructor(cause) {
    super('The operation was aborted', cause === undefined ? undefined : { cause });
    this.name = 'AbortError';
    this.code = 'ABORT_ERR';
  }
}

class TimeoutError extends Error {
  constructor(milliseconds) {
    super(`The operation took longer than ${milliseconds} ms`);
    this.name = 'TimeoutError';
    this.code = 'ETIMEDOUT';
  }
}

/** The copy is complete, but files changed while they were read: their copies may hold parts of two states. */
class SourceChangedError extends Error {
  constructor(paths) {
    super(`${paths.length === 1 ? 'a file' : `${paths.length} files`} changed while being copied: ${paths.slice(0, 3).join(', ')}`);
    this.name = 'SourceChangedError';
    this.code = 'ERR_FERRY_SOURCE_CHANGED';
    this.paths = paths;
  }
}

/** What a file system's handler answers with: an errno, by name ('ENOENT') or number (2). */
class FuseErrno extends Error {
  constructor(errno, message) {
    const value = typeof errno === 'string' ? constants.errno[errno] : errno;
    if (typeof errno !== 'string' && typeof errno !== 'number') {
      throw invalidType('errno', 'of type string or number', errno);
    }
    if (!Number.isInteger(value) || value < 1 || value > 4095) {
      throw outOfRange('errno', 'the name of an errno, or 1 to 4095', errno);
    }
    const code = errnoName(value);
    super(message ?? `${code}: ${errnoMessage(value)}`);
    this.name = 'FuseErrno';
    this.code = code;
    this.errno = -value;
  }
}

function withCode(error, code) {
  error.code = code;
  return error;
}

function received(value) {
  if (value === null || value === undefined) {
    return `${value}`;
  }
  if (typeof value === 'function') {
    return `function ${value.name}`;
  }
  if (typeof value === 'object') {
    return value.constructor?.name ? `an instance of ${value.constructor.name}` : inspect(value, { depth: -1 });
  }
  const text = inspect(value, { colors: false });
  return `type ${typeof value} (${text.length > 28 ? `${text.slice(0, 25)}...` : text})`;
}

function invalidType(name, wanted, value) {
  const kind = name.includes('.') ? 'property' : 'argument';
  return withCode(new TypeError(`The "${name}" ${kind} must be ${wanted}. Received ${received(value)}`), 'ERR_INVALID_ARG_TYPE');
}
function invalidValue(name, wanted, value) {
  const kind = name.includes('.') ? 'property' : 'argument';
  return withCode(new TypeError(`The ${kind} '${name}' must be ${wanted}. Received ${inspect(value)}`), 'ERR_INVALID_ARG_VALUE');
}
function outOfRange(name, wanted, value) {
  return withCode(
    new RangeError(`The value of "${name}" is out of range. It must be ${wanted}. Received ${inspect(value)}`),
    'ERR_OUT_OF_RANGE',
  );
}

module.exports = {
  AbortError,
  FuseErrno,
  SourceChangedError,
  TimeoutError,
  errnoName,
  invalidType,
  invalidValue,
  outOfRange,
  unwrap,
  withCode,
};
