'use strict';
// Buffers over native memory, files read into them, and maps.
const native = require('./native.cjs');
const { invalidType, unwrap, withCode } = require('./errors.cjs');
const { toBytes, toChoice, toDescriptor, toInteger, toObject, toPath } = require('./arguments.cjs');

const largestBuffer = 4294967296n;

// The addon's handle of each ArrayBuffer that is over native memory.
const handles = new WeakMap();

function bufferOf([arrayBuffer, handle, length]) {
  handles.set(arrayBuffer, handle);
  return Buffer.from(arrayBuffer, 0, length ?? arrayBuffer.byteLength);
}

function createExternalBuffer(size) {
  return bufferOf(native.createExternal(toBytes(size, 'size', largestBuffer)));
}

function createManagedBuffer(size, options) {
  const bytes = toBytes(size, 'size', largestBuffer);
  const { alignment = 4096 } = toObject(options);
  toInteger(alignment, 'options.alignment', 8, 2097152);
  return bufferOf(native.createManaged(bytes, alignment));
}

function releaseBuffer(buffer) {
  if (!ArrayBuffer.isView(buffer)) {
    throw invalidType('buffer', 'an instance of Buffer', buffer);
  }
  const handle = handles.get(buffer.buffer);
  if (handle === undefined) {
    return false; // not ours: collected like any other
  }
  return native.release(buffer.buffer, handle);
}

function contentOf(value) {
  unwrap(value);
  return Array.isArray(value) ? bufferOf(value) : value;
}

function readFileSync(path) {
  return contentOf(native.readFileSync(toPath(path, 'path')));
}

async function readFile(path) {
  return contentOf(await native.readFile(toPath(path, 'path')));
}

function readArguments(fd, offset, length) {
  return [toDescriptor(fd, 'fd'), toBytes(offset, 'offset'), toBytes(length, 'length', largestBuffer)];
}

function readSync(fd, offset, length) {
  return contentOf(native.readSync(...readArguments(fd, offset, length)));
}

async function read(fd, offset, length) {
  return contentOf(await native.read(...readArguments(fd, offset, length)));
}

class FileMap {
  #buffer;
  #handle;
  #closed = false;

  constructor([buffer, handle]) {
    this.#buffer = buffer;
    this.#handle = handle;
  }

  get buffer() {
    return this.#buffer;
  }
  get byteLength() {
    return this.#buffer.byteLength;
  }
  get closed() {
    return this.#closed;
  }

  async flush() {
    unwrap(await native.flushMap(this.#openHandle()));
  }
  flushSync() {
    unwrap(native.flushMapSync(this.#openHandle()));
  }

  advise(advice, offset = 0, length = undefined) {
    const handle = this.#openHandle();
    const wanted = toChoice(advice, 'advice', ['normal', 'sequential', 'random', 'willNeed', 'dontNeed', 'cold', 'hugePage']);
    const begin = toBytes(offset, 'offset');
    const bytes = length === undefined ? BigInt(Math.max(this.byteLength - Number(begin), 0)) : toBytes(length, 'length');
    unwrap(native.adviseMap(handle, wanted, begin, bytes));
  }

  close() {
    if (!this.#closed) {
      this.#closed = true;
      native.closeMap(this.#buffer, this.#handle);
    }
  }

  #openHandle() {
    if (this.#closed) {
      throw withCode(new Error('the map is closed'), 'ERR_FERRY_MAP_CLOSED');
    }
    return this.#handle;
  }
}
if (Symbol.dispose !== undefined) {
  FileMap.prototype[Symbol.dispose] = FileMap.prototype.close;
}

function mapFile(path, options) {
  const mode = toChoice(toObject(options).mode, 'options.mode', ['read', 'readWrite']);
  return new FileMap(unwrap(native.mapFile(toPath(path, 'path'), mode === 'readWrite')));
}

module.exports = {
  createExternalBuffer,
  createManagedBuffer,
  mapFile,
  nativeMemory: () => native.nativeMemory(),
  read,
  readFile,
  readFileSync,
  readSync,
  releaseBuffer,
};
