'use strict';
// The addon: built beside the package (./dev build node), or that which FERRY_NATIVE_ADDON names.
const path = require('node:path');

const file =
  process.env.FERRY_NATIVE_ADDON || path.join(__dirname, '..', 'prebuilt', `${process.platform}-${process.arch}`, 'ferry.node');

try {
  module.exports = require(file);
} catch (error) {
  throw new Error(`ferry-native: cannot load ${file}: ${error.message}`, { cause: error });
}
