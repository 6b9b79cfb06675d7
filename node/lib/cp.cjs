'use strict';
// cp, cpSync, cpEvents, copyFile and copyFileSync.
const { constants } = require('node:fs');
const { isPromise } = require('node:util/types');
const native = require('./native.cjs');
const { cancellable, toCancellation } = require('./cancel.cjs');
const { SourceChangedError, unwrap, withCode } = require('./errors.cjs');
const { toBoolean, toChoice, toFunction, toInteger, toObject, toPath } = require('./arguments.cjs');

// As in src/values.hpp.
const flags = {
  dereference: 1 << 0,
  errorOnExist: 1 << 1,
  noForce: 1 << 2,
  preserveTimestamps: 1 << 3,
  recursive: 1 << 4,
  verbatimSymlinks: 1 << 5,
  atomic: 1 << 6,
  verify: 1 << 7,
  explain: 1 << 8,
  reflinkNever: 1 << 9,
  reflinkAlways: 1 << 10,
  exclusive: 1 << 11,
  fsync: 1 << 12,
};

function modeFlags(mode, name) {
  if (mode === undefined || mode === null) {
    return 0;
  }
  toInteger(mode, name, 0, 7);
  return (
    (mode & constants.COPYFILE_EXCL ? flags.exclusive : 0) |
    (mode & constants.COPYFILE_FICLONE_FORCE ? flags.reflinkAlways : 0)
  );
}

// What cp and copyFile have in common.
function copyFlags(options) {
  const reflink = toChoice(options.reflink, 'options.reflink', ['auto', 'never', 'always']);
  return (
    (toBoolean(options.atomic, 'options.atomic', false) ? flags.atomic : 0) |
    (toBoolean(options.verify, 'options.verify', false) ? flags.verify : 0) |
    (toBoolean(options.fsync, 'options.fsync', false) ? flags.fsync : 0) |
    (toBoolean(options.explain, 'options.explain', false) ? flags.explain : 0) |
    (reflink === 'never' ? flags.reflinkNever : 0) |
    (reflink === 'always' ? flags.reflinkAlways : 0)
  );
}

function cpFlags(options) {
  const dereference = toBoolean(options.dereference, 'options.dereference', false);
  const errorOnExist = toBoolean(options.errorOnExist, 'options.errorOnExist', false);
  const force = toBoolean(options.force, 'options.force', true);
  const preserveTimestamps = toBoolean(options.preserveTimestamps, 'options.preserveTimestamps', false);
  const recursive = toBoolean(options.recursive, 'options.recursive', false);
  const verbatimSymlinks = toBoolean(options.verbatimSymlinks, 'options.verbatimSymlinks', false);
  // Existing files are removed before they are copied: COPYFILE_EXCL has nothing to say.
  const mode = modeFlags(options.mode, 'options.mode') & ~flags.exclusive;
  if (dereference && verbatimSymlinks) {
    throw withCode(
      new TypeError('Option "dereference" cannot be used in combination with option "verbatimSymlinks"'),
      'ERR_INCOMPATIBLE_OPTION_PAIR',
    );
  }
  return (
    (dereference ? flags.dereference : 0) |
    (errorOnExist ? flags.errorOnExist : 0) |
    (force ? 0 : flags.noForce) |
    (preserveTimestamps ? flags.preserveTimestamps : 0) |
    (recursive ? flags.recursive : 0) |
    (verbatimSymlinks ? flags.verbatimSymlinks : 0) |
    mode |
    copyFlags(options)
  );
}

// The report, if one was asked for.
function finish(result, wanted) {
  if (result === undefined) {
    return undefined;
  }
  unwrap(result);
  if (result.changedSources?.length > 0) {
    throw new SourceChangedError(result.changedSources);
  }
  return wanted ? result : undefined;
}

function syncFilter(filter) {
  return (source, destination) => {
    const wanted = filter(source, destination);
    if (isPromise(wanted)) {
      throw withCode(
        new TypeError('Expected boolean to be returned from the "filter" function but got an instance of Promise.'),
        'ERR_INVALID_RETURN_VALUE',
      );
    }
    return wanted;
  };
}

function cpSync(src, dest, options) {
  const source = toPath(src, 'src');
  const destination = toPath(dest, 'dest');
  if (options === undefined) {
    return finish(native.cpSync(source, destination, 0), false);
  }
  toObject(options);
  const how = cpFlags(options);
  const filter = toFunction(options.filter, 'options.filter');
  const onEvent = toFunction(options.onEvent, 'options.onEvent');
  const onProgress = toFunction(options.onProgress, 'options.onProgress');
  const result = native.cpSync(
    source,
    destination,
    how,
    filter === undefined ? undefined : syncFilter(filter),
    onEvent,
    onProgress,
  );
  return result === undefined ? undefined : finish(result, (how & flags.explain) !== 0);
}

// The functions of the program, as the addon calls them: each call brings a question, which must be answered once. What
// they throw, or reject with, ends the copy and is its error.
class Callbacks {
  constructor(stop) {
    this.stop = stop;
    this.failed = false;
    this.error = undefined;
  }

  asking(callback, toAnswer) {
    if (callback === undefined) {
      return undefined;
    }
    return (question, ...args) => {
      const fail = (error) => {
        if (!this.failed) {
          this.failed = true;
          this.error = error;
        }
        native.requestStop(this.stop);
        native.answerQuestion(question, false);
      };
      try {
        const value = callback(...args);
        if (typeof value?.then === 'function') {
          value.then((settled) => native.answerQuestion(question, toAnswer(settled)), fail);
        } else {
          native.answerQuestion(question, toAnswer(value));
        }
      } catch (error) {
        fail(error);
      }
    };
  }

  telling(callback) {
    if (callback === undefined) {
      return undefined;
    }
    return (value) => {
      try {
        callback(value);
      } catch (error) {
        if (!this.failed) {
          this.failed = true;
          this.error = error;
        }
        native.requestStop(this.stop);
      }
    };
  }
}

// cp with a function that takes a batch of events and may return a promise, for which the copy waits.
async function cpInBatches(src, dest, options, onEvents) {
  const source = toPath(src, 'src');
  const destination = toPath(dest, 'dest');
  toObject(options);
  const how = cpFlags(options);
  const filter = toFunction(options.filter, 'options.filter');
  const onProgress = toFunction(options.onProgress, 'options.onProgress');
  const calls = filter !== undefined || onProgress !== undefined || onEvents !== undefined;
  const stop = calls ? native.newStop() : undefined;
  const callbacks = new Callbacks(stop);
  const result = await cancellable(
    toCancellation(options),
    (token) =>
      native.cp(
        source,
        destination,
        how,
        token,
        callbacks.asking(filter, Boolean),
        callbacks.asking(onEvents, () => true),
        callbacks.telling(onProgress),
      ),
    stop,
  );
  if (callbacks.failed) {
    throw callbacks.error;
  }
  return finish(result, (how & flags.explain) !== 0);
}

async function cp(src, dest, options = {}) {
  const onEvent = toFunction(toObject(options).onEvent, 'options.onEvent');
  return cpInBatches(src, dest, options, onEvent === undefined ? undefined : (events) => events.forEach((event) => onEvent(event)));
}

async function* cpEvents(src, dest, options = {}) {
  toObject(options);
  const stopped = new AbortController();
  const signal = options.signal === undefined ? undefined : toCancellation(options).signal;
  const onAbort = () => stopped.abort(signal.reason);
  if (signal?.aborted) {
    onAbort();
  }
  signal?.addEventListener('abort', onAbort, { once: true });

  let batch = [];
  let batchTaken = () => {};
  let wake = () => {};
  let over = false;
  let report;
  let error;
  // The copy waits until all of a batch was taken: there is never more than one.
  const take = (events) =>
    new Promise((resolve) => {
      batch = events;
      batchTaken = resolve;
      wake();
    });
  const copying = cpInBatches(src, dest, { ...options, signal: stopped.signal }, take)
    .then(
      (value) => {
        report = value;
      },
      (reason) => {
        error = { reason };
      },
    )
    .then(() => {
      over = true;
      wake();
    });
  try {
    while (!over) {
      await new Promise((resolve) => {
        wake = resolve;
        if (over || batch.length > 0) {
          resolve();
        }
      });
      yield* batch;
      batch = [];
      batchTaken();
    }
    if (error !== undefined) {
      throw error.reason;
    }
    return report;
  } finally {
    signal?.removeEventListener('abort', onAbort);
    stopped.abort();
    batchTaken();
    await copying;
  }
}

function copyFileArguments(options) {
  if (options === undefined || options === null || typeof options === 'number') {
    return { how: modeFlags(options, 'mode'), options: {} };
  }
  toObject(options);
  return { how: copyFlags(options) | modeFlags(options.mode, 'options.mode'), options };
}

function finishFile(result, how, source) {
  if (result === undefined) {
    return undefined;
  }
  unwrap(result);
  if (result.sourceChanged) {
    throw new SourceChangedError([String(source)]);
  }
  return (how & flags.explain) !== 0 ? result : undefined;
}

function copyFileSync(src, dest, modeOrOptions) {
  const source = toPath(src, 'src');
  const destination = toPath(dest, 'dest');
  const { how } = copyFileArguments(modeOrOptions);
  return finishFile(native.copyFileSync(source, destination, how), how, source);
}

async function copyFile(src, dest, modeOrOptions) {
  const source = toPath(src, 'src');
  const destination = toPath(dest, 'dest');
  const { how, options } = copyFileArguments(modeOrOptions);
  const onProgress = toFunction(options.onProgress, 'options.onProgress');
  const stop = onProgress === undefined ? undefined : native.newStop();
  const callbacks = new Callbacks(stop);
  const result = await cancellable(
    toCancellation(options),
    (token) =>
      native.copyFile(source, destination, how, token, undefined, undefined, callbacks.telling(onProgress)),
    stop,
  );
  if (callbacks.failed) {
    throw callbacks.error;
  }
  return finishFile(result, how, source);
}

module.exports = { copyFile, copyFileSync, cp, cpEvents, cpSync };
