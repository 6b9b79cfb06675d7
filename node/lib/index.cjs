'use strict';
const { AbortError, FuseErrno, SourceChangedError, TimeoutError } = require('./errors.cjs');

module.exports = {
  version: require('./native.cjs').version,
  ...require('./cp.cjs'),
  ...require('./readdir.cjs'),
  ...require('./copy-range.cjs'),
  ...require('./memory.cjs'),
  ...require('./xattr.cjs'),
  ...require('./time.cjs'),
  AbortError,
  FuseErrno,
  SourceChangedError,
  TimeoutError,
};
