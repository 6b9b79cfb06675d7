'use strict';
// AbortSignal and timeout of what runs in the background.
const native = require('./native.cjs');
const { AbortError, TimeoutError, invalidType } = require('./errors.cjs');
const { toInteger } = require('./arguments.cjs');

const ECANCELED = 125;

function toCancellation(options) {
  const { signal, timeout } = options;
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw invalidType('options.signal', 'an instance of AbortSignal', signal);
  }
  if (timeout !== undefined) {
    toInteger(timeout, 'options.timeout', 0, 2147483647);
  }
  return { signal, timeout };
}

/**
 * Waits for start(stop). If the signal aborts it or it takes longer than the timeout, it is asked to stop; the error is
 * that only if it did stop: what was complete before stays a success.
 */
async function cancellable({ signal, timeout }, start, stop = undefined) {
  if (signal?.aborted) {
    throw new AbortError(signal.reason);
  }
  if (signal === undefined && timeout === undefined) {
    return start(stop);
  }
  stop ??= native.newStop();
  let reason;
  const end = (error) => {
    reason ??= error;
    native.requestStop(stop);
  };
  const onAbort = () => end(new AbortError(signal.reason));
  const timer = timeout === undefined ? undefined : setTimeout(() => end(new TimeoutError(timeout)), timeout);
  signal?.addEventListener('abort', onAbort, { once: true });
  try {
    const result = await start(stop);
    if (reason !== undefined && result?.failed === true && result.errno === ECANCELED) {
      throw reason;
    }
    return result;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
  }
}

module.exports = { cancellable, toCancellation };
